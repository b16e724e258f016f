#include "names.h"

#include "value.h"

#include <new>


namespace resty_ffi {

namespace {

// A caller may make names up.
constexpr size_t kMost = 256;

}  // namespace


v8::Local<v8::String> Names::Get(v8::Isolate *isolate, const char *name, size_t length) {
    if (!last_.IsEmpty() && last_name_.compare(0, std::string::npos, name, length) == 0) {
        return last_.Get(isolate);
    }

    // It may have a new name without being the string of it.
    last_.Reset();

    try {
        Keep(isolate, name, length);
    } catch (const std::bad_alloc &) {
        return value::NewString(isolate, name, length);
    }

    return last_.Get(isolate);
}


void Names::Keep(v8::Isolate *isolate, const char *name, size_t length) {
    last_name_.assign(name, length);
    auto found = kept_.find(last_name_);

    if (found == kept_.end()) {
        if (kept_.size() >= kMost) {
            kept_.clear();
        }

        v8::Local<v8::String> string = value::NewString(isolate, name, length);
        found = kept_.emplace(last_name_, v8::Global<v8::String>(isolate, string)).first;
    }

    last_.Reset(isolate, found->second);
}


void Names::Clear() {
    kept_.clear();
    last_.Reset();
}

}  // namespace resty_ffi

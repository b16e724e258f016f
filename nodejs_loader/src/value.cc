#include "value.h"

#include "contract.h"
#include "text.h"

#include <node_buffer.h>

#include <cstdlib>


namespace resty_ffi {
namespace value {

namespace {

// Up to so many bytes go through the stack.
constexpr size_t kSmall = 1024;

// UTF-8 needs three bytes at most for what UTF-16 has in one unit.
constexpr int kUtf8Max = 3;

constexpr char kNoMemoryToRespond[] = "no memory for the response";


void RespondText(v8::Isolate *isolate, void *task, int rc, v8::Local<v8::String> text) {
    constexpr int kOptions =
        v8::String::NO_NULL_TERMINATION | v8::String::REPLACE_INVALID_UTF8;
    char small[kSmall];

    if (text->Length() <= static_cast<int>(kSmall / kUtf8Max)) {
        int length = text->WriteUtf8(isolate, small, kSmall, nullptr, kOptions);
        ngx_http_lua_ffi_respond_copy(task, rc, small, length);
        return;
    }

    int size = text->Utf8Length(isolate);
    auto *bytes = static_cast<char *>(malloc(size));

    if (bytes == nullptr) {
        ngx_http_lua_ffi_respond_copy(task, 1, kNoMemoryToRespond,
                                      sizeof(kNoMemoryToRespond) - 1);
        return;
    }

    int length = text->WriteUtf8(isolate, bytes, size, nullptr, kOptions);
    ngx_http_lua_ffi_respond_take(task, rc, bytes, length);
}


void RespondBytes(void *task, int rc, v8::Local<v8::ArrayBufferView> view) {
    char small[kSmall];
    size_t size = view->ByteLength();

    if (size <= kSmall) {
        size = view->CopyContents(small, size);
        ngx_http_lua_ffi_respond_copy(task, rc, small, size);
        return;
    }

    void *bytes = malloc(size);

    if (bytes == nullptr) {
        ngx_http_lua_ffi_respond_copy(task, 1, kNoMemoryToRespond,
                                      sizeof(kNoMemoryToRespond) - 1);
        return;
    }

    size = view->CopyContents(bytes, size);
    ngx_http_lua_ffi_respond_take(task, rc, bytes, size);
}

}  // namespace


v8::Local<v8::String> NewString(v8::Isolate *isolate, const char *text, size_t length) {
    // Too long for V8 is what is never asked for: names, paths, nginx.conf.
    return v8::String::NewFromUtf8(isolate, text, v8::NewStringType::kNormal,
                                   static_cast<int>(length))
        .FromMaybe(v8::String::Empty(isolate));
}


v8::Local<v8::String> NewString(v8::Isolate *isolate, const std::string &text) {
    return NewString(isolate, text.data(), text.size());
}


v8::Local<v8::Value> NewBuffer(v8::Isolate *isolate, const char *data, size_t length) {
    v8::Local<v8::Object> buffer;

    if (node::Buffer::Copy(isolate, data, length).ToLocal(&buffer)) {
        return buffer;
    }

    return v8::Undefined(isolate);
}


bool IsResponse(v8::Local<v8::Value> value) {
    return value->IsString() || value->IsArrayBufferView() || value->IsNullOrUndefined();
}


void Respond(v8::Isolate *isolate, void *task, int rc, v8::Local<v8::Value> value) {
    if (value->IsString()) {
        RespondText(isolate, task, rc, value.As<v8::String>());

    } else if (value->IsArrayBufferView()) {
        RespondBytes(task, rc, value.As<v8::ArrayBufferView>());

    } else {
        ngx_http_lua_ffi_respond_copy(task, rc, nullptr, 0);
    }
}


void Exports::Add(const char *name, v8::Local<v8::Value> value) {
    object->Set(context, NewString(isolate, name), value).Check();
}


void Exports::AddFunction(const char *name, v8::FunctionCallback function) {
    Add(name, v8::Function::New(context, function, data).ToLocalChecked());
}


void Exports::ThrowNoMemory(v8::Isolate *isolate) {
    v8::Local<v8::String> message = NewString(isolate, kNoMemory, sizeof(kNoMemory) - 1);

    isolate->ThrowException(v8::Exception::RangeError(message));
}

}  // namespace value
}  // namespace resty_ffi

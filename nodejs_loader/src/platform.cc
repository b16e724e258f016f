#include "platform.h"

#include "children.h"
#include "descriptors.h"

#include <dlfcn.h>

#include <mutex>


namespace resty_ffi {

namespace {

namespace Flags = node::ProcessInitializationFlags;

// Signals, stdio, limits and OpenSSL are nginx's.
constexpr auto kFlags = static_cast<Flags::Flags>(
    Flags::kNoStdioInitialization | Flags::kNoDefaultSignalHandling |
    Flags::kNoInitOpenSSL | Flags::kNoAdjustResourceLimits |
    Flags::kNoUseLargePages | Flags::kNoPrintHelpOrVersionOutput |
    Flags::kNoParseGlobalDebugVariables);


// Native addons do not name libnode: they find its functions only here.
// Returns false, and dlerror() the reason, when that fails.
bool MakeSymbolsGlobal() {
    constexpr int kMode = RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD | RTLD_NODELETE;
    Dl_info info;

    return dladdr(reinterpret_cast<void *>(&node::TearDownOncePerProcess), &info) == 0
           || dlopen(info.dli_fname, kMode) != nullptr;
}


// Before V8 starts, and reads NODE_OPTIONS, which may have another size.
//
// Where V8 unrolls a loop it takes the check whether to end from the loop around
// it as well: with Node.js 24 "for (;;) new Array(1000)" can no more be stopped,
// and fills memory until the process ends.
//
// A young generation larger than Node.js 20 has it gets old at once, and is more
// than what Node.js grants a worker thread that has reached its limit.
void SetV8Flags() {
#if V8_MAJOR_VERSION >= 12
    v8::V8::SetFlagsFromString("--no-turboshaft-loop-unrolling --max-semi-space-size=16");
#endif
}


std::string Join(const std::vector<std::string> &lines) {
    std::string text;

    for (const std::string &line : lines) {
        text += (text.empty() ? "" : "; ") + line;
    }

    return text;
}

}  // namespace


Platform *Platform::Start(const char *library, std::string *why) {
    static std::mutex lock;
    // Never destroyed: at the process's end threads may still run.
    static Platform *platform = new Platform;

    std::lock_guard<std::mutex> guard(lock);

    if (!platform->is_started_) {
        *why = platform->Init(library);
        platform->is_started_ = why->empty();
    }

    return platform->is_started_ ? platform : nullptr;
}


// May be called again after a failure.
std::string Platform::Init(const char *library) {
    std::string path = library;
    modules_ = path.substr(0, path.rfind('/')) + "/node_modules";

    std::string lack = descriptors::Lack(descriptors::kStart);

    if (!lack.empty()) {
        return lack;
    }

    if (!MakeSymbolsGlobal()) {
        return dlerror();
    }

    if (!result_) {
        SetV8Flags();
        // The first is what process.argv[0] and process.title begin with.
        result_ = node::InitializeOncePerProcess({"node"}, kFlags);
    }

    if (result_->early_return() || result_->exit_code() != 0) {
        return "Node.js does not start: " + Join(result_->errors());
    }

    v8_ = result_->platform();
    args_ = result_->args();
    exec_args_ = result_->exec_args();

    return children::Share();
}

}  // namespace resty_ffi

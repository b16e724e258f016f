#include "platform.h"

#include "children.h"

#include <dlfcn.h>

#include <memory>
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
void MakeSymbolsGlobal() {
    Dl_info info;

    if (dladdr(reinterpret_cast<void *>(&node::TearDownOncePerProcess), &info) != 0) {
        (void) dlopen(info.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD | RTLD_NODELETE);
    }
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
    static std::once_flag once;
    // Never destroyed: at the process's end threads may still run.
    static Platform *platform = new Platform;
    static std::string error;

    std::call_once(once, [library] { error = platform->Init(library); });

    *why = error;

    return error.empty() ? platform : nullptr;
}


std::string Platform::Init(const char *library) {
    std::string path = library;
    modules_ = path.substr(0, path.rfind('/')) + "/node_modules";

    MakeSymbolsGlobal();

    // The first is what process.argv[0] and process.title begin with.
    auto result = node::InitializeOncePerProcess({"node"}, kFlags);

    if (result->early_return() || result->exit_code() != 0) {
        return "Node.js does not start: " + Join(result->errors());
    }

    v8_ = result->platform();
    args_ = result->args();
    exec_args_ = result->exec_args();

    return children::Share();
}

}  // namespace resty_ffi

#include "host.h"

#include "contract.h"
#include "platform.h"
#include "runtime.h"

#include <memory>
#include <mutex>
#include <unordered_map>


namespace {

using resty_ffi::Platform;
using resty_ffi::Runtime;

std::mutex runtimes_lock;

// Alive, by queue; guarded by runtimes_lock.  Never destroyed: at the
// process's end threads may still run.
auto &runtimes = *new std::unordered_map<void *, std::unique_ptr<Runtime>>;


std::unique_ptr<Runtime> take(void *tq) {
    std::lock_guard<std::mutex> guard(runtimes_lock);
    auto found = runtimes.find(tq);

    if (found == runtimes.end()) {
        return nullptr;
    }

    auto runtime = std::move(found->second);
    runtimes.erase(found);

    return runtime;
}

}  // namespace


int host_load(const char *cfg, void *tq) {
    std::string why;
    Platform *platform = Platform::Start(ngx_http_lua_ffi_library_path(tq), &why);

    if (platform == nullptr) {
        ngx_http_lua_ffi_set_error(tq, why.data(), why.size());
        return -1;
    }

    auto runtime = std::make_unique<Runtime>(platform, tq, cfg);

    if (!runtime->Load(&why)) {
        ngx_http_lua_ffi_set_error(tq, why.data(), why.size());
        Runtime::End(std::move(runtime));
        return -1;
    }

    std::lock_guard<std::mutex> guard(runtimes_lock);
    runtimes[tq] = std::move(runtime);

    return 0;
}


void host_unload(void *tq) {
    auto runtime = take(tq);

    if (runtime) {
        Runtime::End(std::move(runtime));
    }
}


void host_close(void *tq) {
    static std::once_flag said;

    std::call_once(said, [tq] {
        resty_ffi::Log(tq, NGX_HTTP_LUA_FFI_LOG_NOTICE,
                       "Node.js stays in this worker: unpin has no effect on it, "
                       "and each load reads the module afresh");
    });
}

#include "host.h"

#include "contract.h"
#include "platform.h"
#include "runtime.h"
#include "text.h"

#include <memory>
#include <mutex>
#include <new>
#include <unordered_map>


namespace {

using resty_ffi::Platform;
using resty_ffi::Runtime;

std::mutex runtimes_lock;

using Runtimes = std::unordered_map<void *, std::unique_ptr<Runtime>>;

// Alive, by queue; guarded by runtimes_lock.  Never destroyed: at the
// process's end threads may still run.  In memory that is there: nothing would
// catch what is thrown while a library is mapped.
alignas(Runtimes) char runtimes_memory[sizeof(Runtimes)];
Runtimes &runtimes = *new (runtimes_memory) Runtimes;


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


// Throws without memory: the runtime may be there already.
bool load(const char *cfg, void *tq, std::string *why) {
    Platform *platform = Platform::Start(ngx_http_lua_ffi_library_path(tq), why);

    if (platform == nullptr) {
        return false;
    }

    auto created = std::make_unique<Runtime>(platform, tq, cfg);
    Runtime *runtime = created.get();

    {
        std::lock_guard<std::mutex> guard(runtimes_lock);
        runtimes.emplace(tq, std::move(created));
    }

    return runtime->Load(why);
}

}  // namespace


int host_load(const char *cfg, void *tq) {
    std::string why;
    bool is_loaded = false;

    try {
        is_loaded = load(cfg, tq, &why);
    } catch (const std::bad_alloc &) {
        why = resty_ffi::kNoMemory;
    }

    if (!is_loaded) {
        ngx_http_lua_ffi_set_error(tq, why.data(), why.size());
        host_unload(tq);
    }

    return is_loaded ? 0 : -1;
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

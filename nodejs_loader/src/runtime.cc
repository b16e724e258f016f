#include "runtime.h"

#include "binding.h"
#include "children.h"
#include "contract.h"
#include "descriptors.h"
#include "platform.h"
#include "text.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>


namespace resty_ffi {

namespace {

namespace Flags = node::EnvironmentFlags;

// Neither the inspector, which wants SIGUSR1, nor what belongs to the process:
// working folder, umask, user, signals.
constexpr auto kFlags = static_cast<Flags::Flags>(Flags::kNoCreateInspector);

// As Node.js has it for its worker threads.
constexpr size_t kStackSize = 4 << 20;

// What is left to end the runtime with when memory runs out, and until its code
// next looks whether it is to end.
constexpr size_t kLastHeap = 32 << 20;

// How often a load that goes on looks whether nginx still wants it.
constexpr auto kLook = std::chrono::milliseconds(100);

// How long the module's close() may take, and then what cannot be interrupted.
constexpr int kCloseSeconds = 5;
constexpr int kStopSeconds = 5;

// How long an event loop that nothing needs any more may go on: threads have
// last words, connections are kept alive for ever.
constexpr uint64_t kLingerMs = 100;

// The package's first file, required as a module so that it may import().
constexpr char kMain[] =
    "const { folder } = process._linkedBinding('resty_ffi');"
    "const path = `${folder}/resty_ffi/`;"
    "require('module').createRequire(path)('./runtime.js');";

}  // namespace


Runtime::Runtime(Platform *platform, void *tq, const char *cfg)
    : platform_(platform), tq_(tq), calls_(tq) {
    if (cfg != nullptr) {
        cfg_ = cfg;
    }
}


bool Runtime::Load(std::string *why) {
    *why = descriptors::Lack(descriptors::kRuntime);

    if (!why->empty()) {
        return false;
    }

    has_ended_ = false;

    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, kStackSize);

    int error = pthread_create(&thread_, &attr, Main, this);
    pthread_attr_destroy(&attr);

    if (error != 0) {
        has_ended_ = true;
        *why = std::string("no thread: ") + uv_strerror(-error);
        return false;
    }

    has_thread_ = true;

    std::unique_lock<std::mutex> guard(lock_);

    while (!changed_.wait_for(guard, kLook, [this] { return loaded_; })) {
        if (ngx_http_lua_ffi_is_ending(tq_)) {
            is_given_up_ = true;
            *why = "it is loaded no more";
            return false;
        }
    }

    *why = error_;

    return error_.empty();
}


void Runtime::End(std::unique_ptr<Runtime> runtime) {
    bool has_ended = false;

    {
        std::lock_guard<std::mutex> guard(runtime->lock_);
        runtime->is_ending_ = true;

        if (runtime->env_ != nullptr) {
            uv_async_send(&runtime->end_);
        }
    }

    if (!runtime->is_given_up_) {
        has_ended = runtime->WaitForThread(kCloseSeconds);

        if (!has_ended) {
            Log(runtime->tq_, NGX_HTTP_LUA_FFI_LOG_WARN,
                Text("its JavaScript did not end in %d seconds: it is stopped", kCloseSeconds));
        }
    }

    if (!has_ended) {
        runtime->Stop();
    }

    if (!has_ended && !runtime->WaitForThread(kStopSeconds)) {
        Log(runtime->tq_, NGX_HTTP_LUA_FFI_LOG_ERR,
            "its thread cannot be stopped, as it is in native code: it stays");
        pthread_detach(runtime->thread_);
        (void) runtime.release();
        return;
    }

    if (runtime->has_thread_) {
        pthread_join(runtime->thread_, nullptr);
    }
}


void Runtime::Stop() {
    std::lock_guard<std::mutex> guard(lock_);

    if (env_ != nullptr) {
        node::Stop(env_);
    }
}


bool Runtime::WaitForThread(int seconds) {
    std::unique_lock<std::mutex> guard(lock_);

    return changed_.wait_for(guard, std::chrono::seconds(seconds),
                             [this] { return has_ended_; });
}


bool Runtime::is_ending() {
    std::lock_guard<std::mutex> guard(lock_);

    return is_ending_;
}


const std::string &Runtime::modules() const {
    return platform_->modules();
}


void *Runtime::Main(void *data) {
    auto *runtime = static_cast<Runtime *>(data);

    runtime->thread_ = pthread_self();
    children::Guard();
    runtime->Run();

    return nullptr;
}


void Runtime::Run() noexcept {
    try {
        RunEnvironment();
    } catch (const std::bad_alloc &) {
        Die(kNoMemory);
    }

    // Nobody changes it any more.
    std::string_view reason = reason_;
    bool was_loaded = loaded_;

    Loaded(reason.empty() ? "the module ended before it was loaded" : reason);

    if (was_loaded && !reason.empty()) {
        Log(tq_, NGX_HTTP_LUA_FFI_LOG_ERR,
            Text("the runtime ends: %s", reason_.c_str()));
        field_tasks_.FailAll(reason);
        calls_.FailAll(reason);
    }

    std::lock_guard<std::mutex> guard(lock_);
    has_ended_ = true;
    changed_.notify_all();
}


void Runtime::RunEnvironment() {
    std::vector<std::string> errors;
    auto setup = node::CommonEnvironmentSetup::Create(
        platform_->v8(), &errors, platform_->args(), platform_->exec_args(), kFlags);

    if (!setup) {
        Die(Text("no environment: %s", errors.empty() ? kNoMemory : errors[0].c_str()));
        return;
    }

    isolate_ = setup->isolate();

    {
        v8::Locker locker(isolate_);
        v8::Isolate::Scope isolate_scope(isolate_);
        v8::HandleScope handle_scope(isolate_);
        v8::Context::Scope context_scope(setup->context());

        isolate_->AddNearHeapLimitCallback(OnNearHeapLimit, this);
        binding::Register(setup->env(), this);

        node::SetProcessExitHandler(setup->env(), [this](node::Environment *, int code) {
            Die(Text("process.exit(%d) was called", code));
        });

        uv_async_init(setup->event_loop(), &end_, [](uv_async_t *async) {
            static_cast<Runtime *>(async->data)->OnEnd();
        });
        end_.data = this;
        uv_timer_init(setup->event_loop(), &stop_);
        uv_unref(reinterpret_cast<uv_handle_t *>(&stop_));
        stop_.data = this;

        {
            std::lock_guard<std::mutex> guard(lock_);
            env_ = setup->env();
        }

        if (!is_ending() && !node::LoadEnvironment(setup->env(), kMain).IsEmpty()) {
            (void) node::SpinEventLoop(setup->env());
        }

        Leave();
        node::Stop(setup->env());
    }

    setup.reset();
}


// What the environment's end needs closed.
void Runtime::Leave() {
    {
        std::lock_guard<std::mutex> guard(lock_);
        env_ = nullptr;
        is_ending_ = true;
    }

    Unwatch();
    wake_.Reset();
    names_.Clear();
    uv_close(reinterpret_cast<uv_handle_t *>(&end_), nullptr);
    uv_close(reinterpret_cast<uv_handle_t *>(&stop_), nullptr);
}


void Runtime::OnEnd() {
    if (is_serving_) {
        return;
    }

    uv_unref(reinterpret_cast<uv_handle_t *>(&end_));
    uv_timer_start(&stop_, [](uv_timer_t *timer) {
        node::Stop(static_cast<Runtime *>(timer->data)->env_);
    }, kLingerMs, 0);
}


void Runtime::Loaded(std::string_view why) {
    std::lock_guard<std::mutex> guard(lock_);

    if (!loaded_) {
        Assign(&error_, why);
        loaded_ = true;
        changed_.notify_all();
    }
}


void Runtime::Die(std::string_view reason) {
    node::Environment *env;

    {
        std::lock_guard<std::mutex> guard(lock_);

        if (reason_.empty()) {
            Assign(&reason_, reason);
        }

        is_ending_ = true;
        env = env_;
    }

    if (env != nullptr) {
        node::Stop(env);
    }
}


// V8 ends the process when the limit is reached.
size_t Runtime::OnNearHeapLimit(void *data, size_t limit, size_t initial) {
    auto *runtime = static_cast<Runtime *>(data);

    runtime->Die(Text("out of memory: its JavaScript heap has reached %zu MiB "
                      "(--max-old-space-size)", initial >> 20));

    // More than the limit may be in use by now: the young generation has become
    // old.
    v8::HeapStatistics heap;
    runtime->isolate_->GetHeapStatistics(&heap);

    return std::max(limit, heap.used_heap_size()) + kLastHeap;
}


int Runtime::Watch(v8::Local<v8::Function> wake) {
    if (is_serving_) {
        return UV_EALREADY;
    }

    int fd = ngx_http_lua_ffi_event_fd(tq_);

    if (fd != -1) {
        fd_ = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    }

    if (fd == -1 || fd_ == -1) {
        return -errno;
    }

    int error = uv_poll_init(end_.loop, &poll_, fd_);

    if (error != 0) {
        close(fd_);
        return error;
    }

    poll_.data = this;
    is_watching_ = true;
    is_serving_ = true;
    wake_.Reset(isolate_, wake);

    return uv_poll_start(&poll_, UV_READABLE, OnWake);
}


void Runtime::Unwatch() {
    if (!is_watching_) {
        return;
    }

    is_watching_ = false;
    uv_poll_stop(&poll_);
    uv_close(reinterpret_cast<uv_handle_t *>(&poll_), nullptr);
    close(fd_);
}


void Runtime::Finished() {
    is_serving_ = false;

    // Not before it is told to: threads of the code may still poll.
    if (is_ending()) {
        OnEnd();
    }
}


void Runtime::OnWake(uv_poll_t *poll, int status, int events) {
    auto *self = static_cast<Runtime *>(poll->data);
    uint64_t count;

    // Non-blocking; it does not matter whether another wake-up has read it.
    (void) !read(self->fd_, &count, sizeof(count));

    v8::HandleScope scope(self->isolate_);
    v8::Local<v8::Function> wake = self->wake_.Get(self->isolate_);
    v8::Local<v8::Value> argument = v8::Undefined(self->isolate_);

    try {
        auto slots = self->Abandoned();

        if (!slots.empty()) {
            argument = v8::Array::New(self->isolate_, slots.data(), slots.size());
        }
    } catch (const std::bad_alloc &) {
        // Their handlers are not told, and may still ask.
    }

    // An exception has ended the runtime already.
    (void) node::MakeCallback(self->isolate_, wake, wake, 1, &argument, {0, 0});
}


std::vector<v8::Local<v8::Value>> Runtime::Abandoned() {
    std::vector<v8::Local<v8::Value>> numbers;

    for (int slot : calls_.Abandoned()) {
        numbers.push_back(v8::Integer::New(isolate_, slot));
    }

    return numbers;
}

}  // namespace resty_ffi

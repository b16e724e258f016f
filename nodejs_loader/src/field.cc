#include "field.h"

#include "contract.h"
#include "runtime.h"
#include "text.h"

#include <node_buffer.h>


namespace resty_ffi {
namespace field {

namespace {

using Info = const v8::FunctionCallbackInfo<v8::Value> &;

// How often a thread that waits looks whether its runtime has died.
constexpr int kLookMs = 100;

constexpr int kFailed = 1;


Runtime *Self(Info info) {
    return static_cast<Runtime *>(info.Data().As<v8::External>()->Value());
}


void Throw(Info info, const char *what) {
    v8::Isolate *isolate = info.GetIsolate();

    isolate->ThrowException(v8::Exception::TypeError(value::NewString(isolate, what)));
}


// False, after an exception, when it is none.
bool GetHandle(Info info, void **handle) {
    if (!info[0]->IsBigInt()) {
        Throw(info, "a handle is a BigInt");
        return false;
    }

    *handle = reinterpret_cast<void *>(info[0].As<v8::BigInt>()->Uint64Value());
    return true;
}


// pollTask(tq): blocks; a task, or 0n when the runtime ends, and for a queue that
// is not its own.
void PollTask(Info info) {
    Runtime *runtime = Self(info);
    void *tq;
    void *task = nullptr;
    int n = 0;

    if (!GetHandle(info, &tq)) {
        return;
    }

    while (n == 0 && tq == runtime->tq() && !runtime->is_ending()) {
        n = ngx_http_lua_ffi_task_poll_many(tq, &task, 1, kLookMs);
    }

    if (n == 1 && !runtime->field_tasks().Add(task)) {
        ngx_http_lua_ffi_respond_copy(task, kFailed, kNoMemory, sizeof(kNoMemory) - 1);
        Throw(info, kNoMemory);
        return;
    }

    info.GetReturnValue().Set(v8::BigInt::NewFromUnsigned(
        info.GetIsolate(), n == 1 ? reinterpret_cast<uint64_t>(task) : 0));
}


// getRequest(task): a Buffer, or undefined for a nil request.
void GetRequest(Info info) {
    void *task;

    if (!GetHandle(info, &task)) {
        return;
    }

    // The request is gone as soon as another thread responds.
    Self(info)->field_tasks().Read(task, [&] {
        size_t length;
        const char *request = ngx_http_lua_ffi_get_request(task, &length);

        if (request != nullptr) {
            info.GetReturnValue().Set(value::NewBuffer(info.GetIsolate(), request, length));
        }
    });
}


// respondTask(task, rc, response)
void Respond(Info info) {
    void *task;

    if (!GetHandle(info, &task)) {
        return;
    }

    if (!value::IsResponse(info[2])) {
        Throw(info, "a response is a string, a Buffer, a Uint8Array, null or undefined");
        return;
    }

    int rc = info[1]->Int32Value(info.GetIsolate()->GetCurrentContext()).FromMaybe(0);

    if (!Self(info)->field_tasks().Take(task)) {
        Log(Self(info)->tq(), NGX_HTTP_LUA_FFI_LOG_ERR,
            "response refused: it is for no task that this runtime has polled and "
            "not answered; each task is responded to once");
        return;
    }

    value::Respond(info.GetIsolate(), task, rc, info[2]);
}

}  // namespace


bool Tasks::Add(void *task) {
    std::lock_guard<std::shared_mutex> guard(lock_);

    try {
        tasks_.insert(task);
    } catch (const std::bad_alloc &) {
        return false;
    }

    return true;
}


bool Tasks::Take(void *task) {
    std::lock_guard<std::shared_mutex> guard(lock_);

    return tasks_.erase(task) != 0;
}


void Tasks::FailAll(std::string_view reason) {
    std::lock_guard<std::shared_mutex> guard(lock_);

    for (void *task : tasks_) {
        ngx_http_lua_ffi_respond_copy(task, kFailed, reason.data(), reason.size());
    }

    tasks_.clear();
}


void Init(value::Exports &to) {
    to.Add<PollTask>("pollTask");
    to.Add<GetRequest>("getRequest");
    to.Add<Respond>("respondTask");
}

}  // namespace field
}  // namespace resty_ffi

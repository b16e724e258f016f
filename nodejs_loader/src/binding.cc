#include "binding.h"

#include "children.h"
#include "contract.h"
#include "field.h"
#include "runtime.h"
#include "value.h"

#include <node_buffer.h>

#include <algorithm>
#include <cstring>


namespace resty_ffi {
namespace binding {

namespace {

using v8::Array;
using v8::Context;
using v8::FunctionCallbackInfo;
using v8::Int32Array;
using v8::Integer;
using v8::Isolate;
using v8::Local;
using v8::Object;
using v8::String;
using v8::Uint8Array;
using v8::Value;

using Info = const FunctionCallbackInfo<Value> &;


// What poll() tells of a call: where it finds its request.
struct Polled {
    int32_t slot;
    int32_t offset;     // in the pool, or kApart
    int32_t length;     // kNil for a nil request
    int32_t has_id;
};

// Of a batch, and then how much of the pool is used.
constexpr size_t kPolledInts = Calls::kBatch * sizeof(Polled) / sizeof(int32_t) + 1;

constexpr int32_t kNil = -1;
constexpr int32_t kApart = -1;

// A longer request has memory of its own: else it would keep the pool.
constexpr size_t kPooled = 2048;


Runtime *Self(Info info) {
    return static_cast<Runtime *>(info.Data().As<v8::External>()->Value());
}


// -1 for what is none: no slot, no response's number.
int32_t Number(Info info, int i) {
    return info[i]->IsInt32() ? info[i].As<v8::Int32>()->Value() : -1;
}


void *Task(Info info) {
    return Self(info)->calls().Task(Number(info, 0));
}


template <typename View>
char *Bytes(Local<View> view) {
    return static_cast<char *>(view->Buffer()->Data()) + view->ByteOffset();
}


// Fails only when JavaScript is being ended, which fails the calls.
void Put(Local<Array> array, int i, Local<Value> value) {
    array->Set(array->GetIsolate()->GetCurrentContext(), i, value).FromMaybe(false);
}


// Whether there is anything to be known of the call's request.
bool IsIdentified(void *task) {
    return ngx_http_lua_ffi_get_request_id(task, nullptr) != nullptr
           || ngx_http_lua_ffi_get_traceparent(task, nullptr) != nullptr;
}


// poll(polled, pool, used, methods, apart, most): takes calls.  polled is as
// above, and then how much of the pool is used; small requests are copied to
// the pool, from used on, others become Buffers in apart; methods gets names.
// All by the call's number in the batch.  Returns how many there are, or -1 at
// the end.
void Poll(Info info) {
    Isolate *isolate = info.GetIsolate();
    Calls &calls = Self(info)->calls();
    size_t used = Number(info, 2);

    if (!info[0]->IsInt32Array() || info[0].As<Int32Array>()->Length() != kPolledInts
        || !info[1]->IsUint8Array() || used > info[1].As<Uint8Array>()->ByteLength()
        || !info[3]->IsArray() || !info[4]->IsArray())
    {
        return;
    }

    auto ints = info[0].As<Int32Array>();
    auto *polled = reinterpret_cast<Polled *>(Bytes(ints));
    char *pool = Bytes(info[1].As<Uint8Array>());
    size_t size = info[1].As<Uint8Array>()->ByteLength();
    auto methods = info[3].As<Array>();
    auto apart = info[4].As<Array>();

    int slots[Calls::kBatch];
    int n = calls.Poll(slots, Number(info, 5));

    if (n == -1) {
        Self(info)->Unwatch();
    }

    for (int i = 0; i < n; i++) {
        size_t length;
        size_t name_length;
        void *task = calls.Task(slots[i]);
        const char *request = ngx_http_lua_ffi_get_request(task, &length);
        const char *name = ngx_http_lua_ffi_get_method(task, &name_length);

        polled[i] = {slots[i], kApart, kNil, IsIdentified(task)};

        if (request != nullptr && length <= std::min(kPooled, size - used)) {
            memcpy(pool + used, request, length);
            polled[i].offset = static_cast<int32_t>(used);
            polled[i].length = static_cast<int32_t>(length);
            used += (length + 7) & ~size_t{7};
            used = std::min(used, size);

        } else if (request != nullptr) {
            polled[i].length = 0;
            Put(apart, i, value::NewBuffer(isolate, request, length));
        }

        Put(methods, i, Self(info)->names().Get(isolate, name, name_length));
    }

    reinterpret_cast<int32_t *>(polled)[kPolledInts - 1] = static_cast<int32_t>(used);
    info.GetReturnValue().Set(n);
}


// respond(slot, rc, response): false when it is of a type that cannot be sent;
// the call is unanswered then.  A slot that was answered is left alone.
void Respond(Info info) {
    int32_t slot = Number(info, 0);
    void *task = Task(info);

    if (task == nullptr) {
        return;
    }

    if (!value::IsResponse(info[2])) {
        info.GetReturnValue().Set(false);
        return;
    }

    Self(info)->calls().Release(slot);
    value::Respond(info.GetIsolate(), task, Number(info, 1), info[2]);
}


// timeLeft(slot): milliseconds.
void TimeLeft(Info info) {
    int64_t left = ngx_http_lua_ffi_time_left(Task(info));

    info.GetReturnValue().Set(static_cast<double>(std::max<int64_t>(left, 0)));
}


// requestId(slot): a string, or undefined.
void RequestId(Info info) {
    size_t length;
    const char *id = ngx_http_lua_ffi_get_request_id(Task(info), &length);

    if (id != nullptr) {
        info.GetReturnValue().Set(value::NewString(info.GetIsolate(), id, length));
    }
}


// traceparent(slot): a string, or undefined.
void Traceparent(Info info) {
    size_t length;
    const char *text = ngx_http_lua_ffi_get_traceparent(Task(info), &length);

    if (text != nullptr) {
        info.GetReturnValue().Set(value::NewString(info.GetIsolate(), text, length));
    }
}


// isAbandoned(slot)
void IsAbandoned(Info info) {
    info.GetReturnValue().Set(ngx_http_lua_ffi_is_abandoned(Task(info)) != 0);
}


// log(level, text, slot): in the name of the call, if slot is one.
void Log(Info info) {
    String::Utf8Value text(info.GetIsolate(), info[1]);
    void *task = info[2]->IsInt32() ? Self(info)->calls().Task(Number(info, 2)) : nullptr;

    if (task != nullptr) {
        ngx_http_lua_ffi_log_task(task, Number(info, 0), *text, text.length());

    } else {
        ngx_http_lua_ffi_log(Self(info)->tq(), Number(info, 0), *text, text.length());
    }
}


// watch(wake): an error's name, or undefined.
void Watch(Info info) {
    if (!info[0]->IsFunction()) {
        return;
    }

    int error = Self(info)->Watch(info[0].As<v8::Function>());

    if (error != 0) {
        info.GetReturnValue().Set(
            value::NewString(info.GetIsolate(), uv_strerror(error)));
    }
}


// finished(): all calls of the queue were answered, the handler is closed.
void Finished(Info info) {
    Self(info)->Finished();
}


// loaded(why): a string when it failed.
void Loaded(Info info) {
    String::Utf8Value why(info.GetIsolate(), info[0]);

    Self(info)->Loaded(info[0]->IsString() ? std::string_view(*why, why.length()) : "");
}


// die(reason)
void Die(Info info) {
    String::Utf8Value reason(info.GetIsolate(), info[0]);

    Self(info)->Die({*reason, static_cast<size_t>(reason.length())});
}


// where(error): "file:line" of a file that does not compile, or undefined.
void Where(Info info) {
    Isolate *isolate = info.GetIsolate();
    Local<Context> context = isolate->GetCurrentContext();
    Local<v8::Message> message = v8::Exception::CreateMessage(isolate, info[0]);
    Local<Value> file = message->GetScriptResourceName();
    int line = message->GetLineNumber(context).FromMaybe(0);

    if (file->IsString() && line > 0) {
        String::Utf8Value name(isolate, file);
        std::string where = std::string(*name, name.length()) + ":" + std::to_string(line);
        info.GetReturnValue().Set(value::NewString(isolate, where));
    }
}


void Init(Local<Object> exports, Local<Value> module, Local<Context> context, void *data) {
    // Worker threads come by here, too, before code of theirs.
    children::Guard();

    auto *runtime = static_cast<Runtime *>(data);
    Isolate *isolate = context->GetIsolate();
    value::Exports to{isolate, context, exports, v8::External::New(isolate, runtime)};

    to.Add("folder", value::NewString(isolate, runtime->modules()));
    field::Init(to);

    // The rest is not for worker threads.
    if (!runtime->is_own_thread()) {
        return;
    }

    to.Add("batch", Integer::New(isolate, Calls::kBatch));
    to.Add("tq", v8::BigInt::NewFromUnsigned(isolate, reinterpret_cast<uint64_t>(runtime->tq())));

    if (runtime->cfg().has_value()) {
        const std::string &cfg = *runtime->cfg();
        to.Add("cfg", value::NewBuffer(isolate, cfg.data(), cfg.size()));
    }

    to.Add<Poll>("poll");
    to.Add<Respond>("respond");
    to.Add<TimeLeft>("timeLeft");
    to.Add<RequestId>("requestId");
    to.Add<Traceparent>("traceparent");
    to.Add<IsAbandoned>("isAbandoned");
    to.Add<Log>("log");
    to.Add<Watch>("watch");
    to.Add<Finished>("finished");
    to.Add<Loaded>("loaded");
    to.Add<Die>("die");
    to.Add<Where>("where");
}

}  // namespace


void Register(node::Environment *env, Runtime *runtime) {
    node::AddLinkedBinding(env, "resty_ffi", Init, runtime);
}

}  // namespace binding
}  // namespace resty_ffi

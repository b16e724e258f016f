/*
 * A runtime: an environment of Node.js (isolate, event loop, module cache) on
 * a thread of its own.
 *
 * It ends when it is told to, or when its JavaScript does: process.exit(), an
 * error that nothing catches, no more memory.  Then its calls fail with the
 * reason, and its thread ends, which nginx takes for the runtime's death.
 */

#ifndef RUNTIME_H_INCLUDED
#define RUNTIME_H_INCLUDED


#include "calls.h"
#include "field.h"
#include "names.h"

#include <node.h>
#include <uv.h>

#include <pthread.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>


namespace resty_ffi {

class Platform;

class Runtime {
 public:
    /* cfg may be nullptr; copied. */
    Runtime(Platform *platform, void *tq, const char *cfg);

    /*
     * The load thread; blocks until the module is loaded, or nginx has given
     * it up.  Once.  Throws std::bad_alloc, with the thread running.
     */
    bool Load(std::string *why);

    /*
     * Any thread; blocks until the runtime's thread has ended, and stops it
     * when that takes long, at once after a load that was given up.  A thread
     * that cannot be stopped is left to itself, with its memory, and that is
     * logged.
     */
    static void End(std::unique_ptr<Runtime> runtime);

    /* Any thread. */
    void *tq() const { return tq_; }
    const std::optional<std::string> &cfg() const { return cfg_; }
    bool is_ending();
    bool is_own_thread() const { return pthread_equal(thread_, pthread_self()); }
    const std::string &modules() const;
    field::Tasks &field_tasks() { return field_tasks_; }

    /* ---- the runtime's thread, called from its JavaScript: */

    Calls &calls() { return calls_; }
    Names &names() { return names_; }

    /* The load has ended; with an error unless why is empty. */
    void Loaded(std::string_view why);

    /* Ends the runtime for that reason, if it does not end already. */
    void Die(std::string_view reason);

    /*
     * From now on wake is called when something happens to the queue, with
     * the slots of abandoned calls.  Returns 0 or an error of libuv's.
     */
    int Watch(v8::Local<v8::Function> wake);

    /* The queue has ended; the descriptor is gone. */
    void Unwatch();

    /* What it watched the queue for is over. */
    void Finished();

 private:
    static void *Main(void *data);
    static void OnWake(uv_poll_t *poll, int status, int events);
    static size_t OnNearHeapLimit(void *data, size_t limit, size_t initial);

    void Run() noexcept;
    void RunEnvironment();
    std::vector<v8::Local<v8::Value>> Abandoned();
    void Leave();
    void OnEnd();
    void Stop();
    bool WaitForThread(int seconds);

    Platform *platform_;
    void *tq_;
    std::optional<std::string> cfg_;
    field::Tasks field_tasks_;
    pthread_t thread_;
    bool has_thread_ = false;
    bool is_given_up_ = false;

    std::mutex lock_;
    std::condition_variable changed_;

    /* guarded by lock_ */
    bool loaded_ = false;           /* or failed to */
    bool is_ending_ = false;        /* was told to, or its JavaScript has */
    bool has_ended_ = true;         /* its thread has, or never began */
    std::string error_;             /* of the load */
    std::string reason_;            /* why it died */
    node::Environment *env_ = nullptr;

    /* the runtime's thread only */
    v8::Isolate *isolate_ = nullptr;
    v8::Global<v8::Function> wake_;
    Calls calls_;
    Names names_;
    bool is_watching_ = false;
    bool is_serving_ = false;
    int fd_ = -1;                   /* a duplicate of the queue's */
    uv_poll_t poll_;
    uv_async_t end_;                /* keeps the loop running; any thread */
    uv_timer_t stop_;               /* when it does not end by itself */
};

}  // namespace resty_ffi


#endif /* RUNTIME_H_INCLUDED */

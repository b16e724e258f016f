#include "children.h"

#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <uv.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>


namespace resty_ffi {
namespace children {

namespace {

// Set once, before the handler is.
struct sigaction nginx_action;
struct sigaction libuv_action;


// Not of the kind that is allocated when a thread first looks at it, and ends
// the process when there is no memory.
__attribute__((tls_model("initial-exec"))) thread_local bool is_guarded;


// In the child, between fork() and what libuv hands over; async-signal-safe.
// nginx's sockets stay open over exec(): who has them keeps connections open
// that nginx has closed.
void CloseAtExec() {
    if (is_guarded) {
        (void) close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    }
}


void Call(const struct sigaction &action, int number, siginfo_t *info, void *context) {
    if (action.sa_flags & SA_SIGINFO) {
        action.sa_sigaction(number, info, context);

    } else if (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN) {
        action.sa_handler(number);
    }
}


// Signal handler; runs on the event loop's thread, as all others block it.
void Handle(int number, siginfo_t *info, void *context) {
    int error = errno;

    Call(nginx_action, number, info, context);
    Call(libuv_action, number, info, context);

    errno = error;
}


// This thread may start nothing any more.  Returns false when the kernel has no
// seccomp.
bool ForbidStarting() {
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
#ifdef SYS_vfork
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_vfork, 2, 0),
#endif
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
           && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}


// Of a thread of its own, which is not good for much afterwards.
void *FailToSpawn(void *) {
    char name[] = "none";
    char *args[] = {name, nullptr};
    uv_process_options_t options = {};
    uv_process_t process;
    uv_loop_t loop;

    options.file = name;
    options.args = args;

    if (ForbidStarting() && uv_loop_init(&loop) == 0) {
        (void) uv_spawn(&loop, &process, &options);
        uv_close(reinterpret_cast<uv_handle_t *>(&process), nullptr);
        uv_run(&loop, UV_RUN_DEFAULT);
        uv_loop_close(&loop);
    }

    return nullptr;
}


// libuv, from 1.53 on, finds out once for the process whether vfork() works,
// and has posix_spawn() start children then, which calls no CloseAtExec().  A
// thread that may not finds out that it does not, and fork() it is.
//
// Without seccomp, or a descriptor, children get nginx's sockets.
void PreferFork() {
    pthread_t thread;

    if (pthread_create(&thread, nullptr, FailToSpawn, nullptr) == 0) {
        pthread_join(thread, nullptr);
    }
}


// Starts what is not started yet: 0, or an error of libuv's.
//
// A watcher that is never stopped, on a loop that never runs: libuv sets its
// handler for the first one and resets it after the last.
int Watch() {
    static uv_loop_t loop;
    static uv_signal_t watcher;
    static bool is_watched_by_fork, has_loop, has_watcher;
    int error = 0;

    if (!is_watched_by_fork) {
        error = -pthread_atfork(nullptr, nullptr, CloseAtExec);
        is_watched_by_fork = error == 0;
    }

    if (error == 0 && !has_loop) {
        error = uv_loop_init(&loop);
        has_loop = error == 0;
    }

    if (error == 0 && !has_watcher) {
        error = uv_signal_init(&loop, &watcher);
        has_watcher = error == 0;
    }

    if (error == 0) {
        error = uv_signal_start(&watcher, [](uv_signal_t *, int) {}, SIGCHLD);
    }

    return error;
}

}  // namespace


std::string Share() {
    sigaction(SIGCHLD, nullptr, &nginx_action);

    int error = Watch();

    if (error != 0) {
        return std::string("no watcher of child processes: ") + uv_strerror(error);
    }

    // While the watcher is there: else its end would reset the handler.
    PreferFork();
    sigaction(SIGCHLD, nullptr, &libuv_action);

    struct sigaction both = nginx_action;
    both.sa_flags |= SA_SIGINFO | SA_RESTART;
    both.sa_sigaction = Handle;
    sigaction(SIGCHLD, &both, nullptr);

    // nginx may have missed one meanwhile.
    siginfo_t child;
    child.si_pid = 0;

    if (waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) == 0 && child.si_pid != 0) {
        kill(getpid(), SIGCHLD);
    }

    return "";
}


void Guard() {
    is_guarded = true;
}

}  // namespace children
}  // namespace resty_ffi

#include "ngx_http_lua_ffi_child.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>


static void ngx_http_lua_ffi_child_handler(int signo, siginfo_t *info,
    void *ucontext);


/* set once before the handler is */
static struct sigaction  ngx_http_lua_ffi_child_nginx;
static ngx_uint_t        ngx_http_lua_ffi_child_guarded;


void
ngx_http_lua_ffi_child_guard(void)
{
    struct sigaction   sa;
    struct sigaction  *nginx;

    if (ngx_http_lua_ffi_child_guarded) {
        return;
    }

    ngx_http_lua_ffi_child_guarded = 1;
    nginx = &ngx_http_lua_ffi_child_nginx;

    if (sigaction(SIGCHLD, NULL, nginx) == -1
        || nginx->sa_handler == SIG_DFL
        || nginx->sa_handler == SIG_IGN)
    {
        return;
    }

    sa = *nginx;
    sa.sa_flags |= SA_SIGINFO;
    sa.sa_sigaction = ngx_http_lua_ffi_child_handler;

    if (sigaction(SIGCHLD, &sa, NULL) == -1) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, ngx_errno,
                      "ffi: sigaction(SIGCHLD) failed");
    }
}


/*
 * signal handler, for the event loop's thread, the process's first.  Guests
 * block SIGCHLD, but Go opens it on its threads: these pass it on.
 */
static void
ngx_http_lua_ffi_child_handler(int signo, siginfo_t *info, void *ucontext)
{
    int         rc;
    ngx_err_t   err;
    siginfo_t   child;

    err = ngx_errno;

    if (syscall(SYS_gettid) != getpid()) {
        (void) syscall(SYS_tgkill, getpid(), getpid(), signo);
        ngx_set_errno(err);
        return;
    }

    child.si_pid = 0;
    rc = waitid(P_ALL, 0, &child, WEXITED|WNOHANG|WNOWAIT|__WNOTHREAD);

    ngx_set_errno(err);

    if (rc == -1 || child.si_pid == 0) {
        return;
    }

    if (ngx_http_lua_ffi_child_nginx.sa_flags & SA_SIGINFO) {
        ngx_http_lua_ffi_child_nginx.sa_sigaction(signo, info, ucontext);

    } else {
        ngx_http_lua_ffi_child_nginx.sa_handler(signo);
    }
}

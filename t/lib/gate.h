/* The gate: where the test holds a handler; t/harness/gate.py is its keeper. */

#ifndef GATE_H_INCLUDED
#define GATE_H_INCLUDED


#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>


/*
 * Says its name at the gate and blocks until the test lets it go.  What the
 * test answers is in answer[], NUL-terminated.  Returns the connection, to be
 * closed when there is nothing more to say, or -1 when the gate is gone.
 */
static inline int
gate_wait(const char *name, char *answer, size_t size)
{
    int                 fd;
    size_t              len;
    ssize_t             n;
    struct sockaddr_un  gate = { AF_UNIX, "gate" };

    answer[0] = '\0';

    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *) &gate, sizeof(gate)) != 0) {
        close(fd);
        return -1;
    }

    send(fd, name, strlen(name), MSG_NOSIGNAL);
    send(fd, "\n", 1, MSG_NOSIGNAL);

    for (len = 0; len < size - 1; len += n) {
        n = recv(fd, answer + len, size - 1 - len, 0);
        if (n <= 0) {
            break;
        }
    }

    answer[len] = '\0';

    return fd;
}


/* Last words, in the order said. */
static inline void
gate_say(int fd, const char *text)
{
    send(fd, text, strlen(text), MSG_NOSIGNAL);
}


#endif /* GATE_H_INCLUDED */

#include "python_system.h"

#include "serving.h"


/* guarded by the GIL */
static serving_t  *first;


void
serving_begin(serving_t *serving, void *task, PyObject *object)
{
    serving->task = task;
    serving->object = object;
    serving->thread = PyThread_get_thread_ident();
    serving->prev = NULL;
    serving->next = first;

    if (first != NULL) {
        first->prev = serving;
    }

    first = serving;
}


void
serving_end(serving_t *serving)
{
    if (serving->prev != NULL) {
        serving->prev->next = serving->next;

    } else {
        first = serving->next;
    }

    if (serving->next != NULL) {
        serving->next->prev = serving->prev;
    }
}


serving_t *
serving_here(void)
{
    serving_t      *serving;
    unsigned long   thread;

    thread = PyThread_get_thread_ident();

    for (serving = first; serving != NULL; serving = serving->next) {
        if (serving->thread == thread) {
            return serving;
        }
    }

    return NULL;
}


unsigned long
serving_thread(void *task)
{
    serving_t  *serving;

    for (serving = first; serving != NULL; serving = serving->next) {
        if (serving->task == task) {
            return serving->thread;
        }
    }

    return 0;
}

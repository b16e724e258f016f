/*
 * Takes keys of thread-specific data, all but as many as its configuration
 * says; then one more, again and again, until it is called: "failed" once there
 * was none.
 */

#include <stdatomic.h>

#include "serve.h"


static atomic_int  done, failed;


static void *
take_and_give(void *arg)
{
    pthread_key_t  key;

    while (!done) {
        if (pthread_key_create(&key, NULL) == 0) {
            pthread_key_delete(key);

        } else {
            failed = 1;
        }
    }

    return NULL;
}


static void
tell(void *task, void *data)
{
    done = 1;
    answer(task, 0, failed ? "failed" : "fine");
}


int
libffi_init(char *cfg, void *tq)
{
    int            n;
    pthread_key_t  keys[1024];

    for (n = 0; pthread_key_create(&keys[n], NULL) == 0; n++) { /* void */ }

    for (int i = 0; i < atoi(cfg); i++) {
        pthread_key_delete(keys[--n]);
    }

    return start_thread(take_and_give, NULL) || serve(tq, tell, NULL);
}

/*
 * What guests log: every byte of it comes out, in lines that are short enough,
 * with nothing in them that would begin another line or drive a terminal.
 */

#include "../test/check.h"
#include "input.h"

#include "ffi_log.h"
#include "ffi_queue.h"
#include "ffi_thread.h"

#include <ngx_http_lua_ffi.h>

#include <stdlib.h>


/*
 * A text is short patterns, repeated: a few times as a rule, else often enough
 * for more lines than fit.
 */
#define PATTERNS     4
#define PATTERN_MAX  16
#define TIMES_FEW    224
#define TIMES_MANY   150


static ffi_queue_t  *queue;
static void         *handle;


static int
is_printable(char c)
{
    return ((unsigned char) c >= ' ' && c != 0x7f) || c == '\t';
}


/* A runtime of that name, with a task in a request of that id. */
static ffi_task_t *
start(const char *name, size_t len, const char *id, size_t id_len)
{
    ffi_task_t  *task;

    static int  started;

    if (!started) {
        started = 1;
        ffi_task_init();
        ffi_queue_init();
        check(ffi_thread_init() == 0);
    }

    queue = ffi_queue_create(NULL, name, len);
    check(queue != NULL);

    task = ffi_task_create();
    check(task != NULL);
    check(ffi_task_set_request(task, "", 0, NULL, 0) == 0);
    check(id_len == 0 || ffi_task_set_id(task, id, id_len) == 0);

    atomic_store(&task->queue, queue);
    ffi_task_set_state(task, FFI_TASK_TAKEN);
    handle = ffi_task_handle(task);

    return task;
}


static void
end(ffi_task_t *task)
{
    check(ffi_task_claim(handle) == task);
    ffi_task_take_response(task, 0, NULL, 0);
    ffi_task_destroy(task);

    ffi_queue_close(queue);
    ffi_queue_destroy(queue);
    ffi_thread_forget(queue);
}


/* Ends where it ends. */
static char *
make_text(input_t *input, size_t *len)
{
    char        *text;
    size_t       i, n, times;
    unsigned     patterns;
    const char  *pattern;

    text = NULL;
    *len = 0;

    for (patterns = 0; input->left && patterns < PATTERNS; patterns++) {
        times = 1 + input_byte(input);

        if (times > TIMES_FEW) {
            times = (times - TIMES_FEW) * TIMES_MANY;
        }

        pattern = input_text(input, 1 + input_byte(input) % PATTERN_MAX, &n);
        text = realloc(text, *len + n * times + 1);
        check(text != NULL);

        for (i = 0; i < n * times; i++) {
            text[(*len)++] = pattern[i % n];
        }
    }

    return text;
}


static void
check_line(const ffi_log_line_t *line, int level, const char *id,
    size_t id_len)
{
    size_t  i;

    check(line->level == (level < 1 ? 1 : level > 8 ? 8 : level));
    check(strcmp(line->name, ffi_queue_name(queue)) == 0);
    check(line->len > 0 && line->len <= FFI_LOG_LINE_MAX);
    check(strlen(line->id) <= id_len && strlen(line->id) <= FFI_TASK_ID_MAX);

    for (i = 0; line->id[i] != '\0'; i++) {
        check(is_printable(id[i]) && id[i] != '\t' ? line->id[i] == id[i]
                                                   : line->id[i] == '?');
    }
}


/* The lines are the text, in order, but for what was dropped at its end. */
static void
check_text(const char *text, size_t len, int level, const char *id,
    size_t id_len)
{
    size_t           i, at;
    unsigned         lines;
    ffi_log_line_t  *line;

    at = 0;

    for (lines = 0; (line = ffi_log_take()) != NULL; lines++) {
        check_line(line, level, id, id_len);

        while (at < len && text[at] == '\n') {
            at++;
        }

        for (i = 0; i < line->len; i++, at++) {
            check(at < len);
            check(line->text[i] == (is_printable(text[at]) ? text[at] : '?'));
        }

        free(line);
    }

    while (at < len && text[at] == '\n') {
        at++;
    }

    check(lines <= FFI_LOG_LINES_MAX);
    check(at == len || lines == FFI_LOG_LINES_MAX);
    check((ffi_log_dropped() > 0) == (at < len));
    check(!ffi_log_pending());
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int          level;
    char        *text;
    size_t       name_len, id_len, len;
    input_t      input = { data, size };
    ffi_task_t  *task;
    const char  *name, *id;

    level = (int8_t) input_byte(&input);
    name = input_text(&input, input_byte(&input), &name_len);
    id = input_text(&input, input_byte(&input), &id_len);
    text = make_text(&input, &len);

    if (len == 0) {
        free(text);
        return 0;
    }

    task = start(name, name_len, id, id_len);

    ngx_http_lua_ffi_log_task(handle, level, text, len);
    check_text(text, len, level, id, id_len);

    end(task);
    free(text);

    return 0;
}

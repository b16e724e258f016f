/*
 * From a library's response to what Lua gets: every form of respond, with
 * memory of every kind, lengths that lie, and handles that were used.  What is
 * no malloc()ed memory is refused and not freed, what is refused is freed, and
 * Lua gets each byte.
 */

#include "../test/check.h"
#include "input.h"

#include "ffi_done.h"
#include "ffi_log.h"
#include "ffi_queue.h"
#include "ffi_thread.h"
#include "ngx_http_lua_ffi_answer.h"

#include <ngx_http_lua_ffi.h>

#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>


#define NAME       "runtime"
#define TEXT_MAX   2048
#define PATTERN    8

/* Longer than a Lua string may be: told, and not read. */
#define TOO_LONG   ((size_t) INT_MAX + 1)


typedef enum {
    NOTHING,       /* NULL */
    HEAP,
    OFF_HEAP,      /* inside of a block: free() would abort */
    STATIC
} memory_e;


typedef struct {
    memory_e     memory;
    char        *data;         /* what is responded with */
    char        *block;        /* what it is inside of, or NULL */
    size_t       len;          /* a NUL is beyond it */
} response_t;


/* What Lua must get. */
typedef struct {
    int          rc;
    const char  *data;         /* NULL: nil */
    size_t       len;
    unsigned     lines;        /* that were logged */
} expected_t;


static char          text[TEXT_MAX + 1];

static lua_State    *lua;
static ffi_queue_t  *queue;
static void         *tq;


static void
start(void)
{
    ffi_task_init();
    ffi_queue_init();
    check(ffi_thread_init() == 0);

    queue = ffi_queue_create(NULL, NAME, sizeof(NAME) - 1);
    check(queue != NULL);
    tq = ffi_queue_handle(queue);

    lua = luaL_newstate();
    check(lua != NULL);
}


static void *
polled_task(void)
{
    void        *handle;
    ffi_task_t  *task;

    task = ffi_task_create();
    check(task != NULL);
    check(ffi_task_set_request(task, "", 0, NULL, 0) == 0);

    atomic_store(&task->queue, queue);
    ffi_task_set_state(task, FFI_TASK_QUEUED);
    ffi_queue_push(queue, task);
    check(ngx_http_lua_ffi_task_poll_many(tq, &handle, 1, 0) == 1);

    return handle;
}


static void
make_response(input_t *input, response_t *r)
{
    size_t       i, n, shift;
    const char  *pattern;

    r->memory = input_byte(input) % 4;
    shift = 1 + input_byte(input) % 7;
    r->len = input_byte(input) << (input_byte(input) & 3);
    pattern = input_text(input, PATTERN, &n);

    for (i = 0; i < r->len; i++) {
        text[i] = n ? pattern[i % n] : 'x';
    }

    text[r->len] = '\0';

    r->block = NULL;
    r->data = NULL;

    switch (r->memory) {

    case NOTHING:
        break;

    case HEAP:
        r->data = malloc(r->len + 1);
        break;

    case OFF_HEAP:
        r->block = malloc(shift + r->len + 1);
        r->data = r->block + shift;
        break;

    case STATIC:
        r->data = text;
        break;
    }

    if (r->data != NULL && r->data != text) {
        memcpy(r->data, text, r->len + 1);
    }
}


static void
expect(expected_t *e, int rc, const char *data, size_t len)
{
    *e = (expected_t) { .rc = rc, .data = data, .len = len };
}


static void
expect_refusal(expected_t *e, const char *why)
{
    expect(e, -1, why, strlen(why));
    e->lines = 1;
}


static void
expect_taken(expected_t *e, int rc, response_t *r, size_t len)
{
    if (r->memory == OFF_HEAP || r->memory == STATIC) {
        expect_refusal(e, "the library responded with memory that is not "
                       "malloc()ed");

    } else if (r->memory == NOTHING) {
        expect(e, rc, NULL, 0);

    } else {
        expect(e, rc, text, len);
    }
}


/* Whether the module has it now, or has freed it. */
static int
respond(input_t *input, void *handle, response_t *r, expected_t *e)
{
    int      rc, n;
    uint8_t  how;

    how = input_byte(input);
    rc = how & 0x80 ? (int) input_word(input) : how >> 4;

    switch (how % 5) {

    case 0:
        n = ngx_http_lua_ffi_respond_copy(handle, rc, r->data, r->len);
        check(e == NULL ? n == -1 : n == 0);

        if (e != NULL) {
            expect(e, rc, r->data != NULL ? text : NULL, r->len);
        }

        return 0;

    case 1:
        n = ngx_http_lua_ffi_respond_take(handle, rc, r->data, r->len);
        break;

    case 2:
        r->len = strlen(text);
        ngx_http_lua_ffi_respond(handle, rc, r->data, 0);
        break;

    case 3:
        r->len += TOO_LONG;
        n = ngx_http_lua_ffi_respond_take(handle, rc, r->data, r->len);
        break;

    default:
        n = -1 - (int) (input_word(input) & INT_MAX);
        ngx_http_lua_ffi_respond(handle, rc, r->data, n);

        if (e != NULL && r->memory != NOTHING) {
            expect_refusal(e, "the library responded with a negative length");
            return r->memory == HEAP;
        }
    }

    if (e != NULL) {
        expect_taken(e, rc, r, r->len);
    }

    return r->memory == HEAP;
}


static void
expect_lines(unsigned lines, const char *name)
{
    ffi_log_line_t  *line;

    while ((line = ffi_log_take()) != NULL) {
        check(lines-- > 0);
        check(strcmp(line->name, name) == 0);
        free(line);
    }

    check(lines == 0);
}


static void
expect_in_lua(ffi_task_t *task, const char *verdict, expected_t *e)
{
    int          n;
    size_t       len;
    const char  *data;

    n = ngx_http_lua_ffi_answer_push(lua, &(ngx_http_lua_ffi_answer_t) {
                                              verdict, task });
    check(lua_gettop(lua) == n);

    if (verdict == NULL && e->len >= TOO_LONG) {
        verdict = "the response is too large for a Lua string";
    }

    check(lua_toboolean(lua, 1) == (verdict == NULL && e->rc == 0));

    if (verdict != NULL) {
        check(n == 2 && strcmp(lua_tostring(lua, 2), verdict) == 0);
        lua_settop(lua, 0);
        return;
    }

    check(n == (e->rc == 0 ? 2 : 3));
    check(e->rc == 0 || lua_tonumber(lua, 2) == e->rc);

    data = lua_tolstring(lua, n, &len);

    if (e->data == NULL) {
        check(lua_isnil(lua, n));

    } else {
        check(data != NULL && len == e->len);
        check(memcmp(data, e->data, len) == 0);
    }

    lua_settop(lua, 0);
}


/* One call: answered, answered once more, and fetched by Lua. */
static void
call(input_t *input)
{
    void        *handle;
    expected_t   e;
    response_t   r;
    ffi_task_t  *task;

    handle = polled_task();

    make_response(input, &r);

    if (!respond(input, handle, &r, &e)) {
        free(r.memory == HEAP ? r.data : r.block);
    }

    expect_lines(e.lines, NAME);

    task = ffi_done_take();
    check(task != NULL && task->next == NULL);
    check(ffi_task_handle(task) == handle);

    expect_in_lua(task, input_byte(input) == 0xff ? "timeout" : NULL, &e);

    make_response(input, &r);

    if (!respond(input, handle, &r, NULL)) {
        free(r.memory == HEAP ? r.data : r.block);
    }

    expect_lines(1, "");
    check(ffi_done_take() == NULL);

    ffi_task_destroy(task);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input_t  input = { data, size };

    if (lua == NULL) {
        start();
    }

    while (input.left) {
        call(&input);
    }

    (void) lua_gc(lua, LUA_GCCOLLECT, 0);

    return 0;
}

/*
 * Names of libraries and configurations, as Lua has them: however it is
 * spelled, a library's file stays the same, no two runtimes have one key, and
 * what is shown is printable and says nothing of what may be secret.
 */

#include "../test/check.h"
#include "input.h"

#include "ngx_http_lua_ffi_name.h"

#include <stdlib.h>


typedef struct {
    ngx_str_t   lib;           /* spelled; part of key */
    ngx_str_t   cfg;
    ngx_uint_t  fresh;
    ngx_str_t   key;
} runtime_t;


/* A copy with a NUL, as Lua has it, that ends where it ends. */
static ngx_str_t
copy(const char *text, size_t len)
{
    ngx_str_t  str;

    str.len = len;
    str.data = malloc(len + 1);
    check(str.data != NULL);
    memcpy(str.data, text, len);
    str.data[len] = '\0';

    return str;
}


/* The file that a name without a slash stands for, as the location has it. */
static ngx_str_t
file_of(ngx_str_t *name)
{
    ngx_str_t   file;
    ngx_uint_t  is_so;

    is_so = name->len > 3 && memcmp(name->data + name->len - 3, ".so", 3) == 0;

    file.data = malloc(name->len + sizeof("lib.so"));
    check(file.data != NULL);
    file.len = 0;

    if (!is_so) {
        file.len = sizeof("lib") - 1;
        memcpy(file.data, "lib", file.len);
    }

    memcpy(file.data + file.len, name->data, name->len);
    file.len += name->len;

    if (!is_so) {
        memcpy(file.data + file.len, ".so", 3);
        file.len += 3;
    }

    return file;
}


static ngx_uint_t
is_same(ngx_str_t *one, ngx_str_t *two)
{
    return one->len == two->len
           && (one->len == 0
               || memcmp(one->data, two->data, one->len) == 0);
}


static void
check_spelling(ngx_str_t *given, ngx_str_t *spelled)
{
    ngx_str_t  before, after;

    if (memchr(given->data, '/', given->len) != NULL) {
        check(is_same(given, spelled));
        return;
    }

    before = file_of(given);
    after = file_of(spelled);
    check(is_same(&before, &after));
    free(before.data);
    free(after.data);
}


/*
 * As ngx.load_ffi() does; 0 for what it refuses.  A runtime is the text, taken
 * apart at the cut: what two of them have in common could make one key.
 */
static int
make_runtime(const char *text, size_t len, size_t cut, runtime_t *rt)
{
    ngx_str_t  given, cfg, again;

    given = copy(text, ngx_min(cut, len));
    cfg = cut < len ? copy(text + cut + 1, len - cut - 1) : copy("", 0);

    rt->lib = given;
    rt->cfg = cfg;

    if (cut > len) {
        ngx_str_null(&rt->cfg);
    }

    if (given.len == 0 || (given.len == 1 && given.data[0] == '?')) {
        free(given.data);
        free(cfg.data);
        return 0;
    }

    rt->fresh = ngx_http_lua_ffi_name_spell(&rt->lib);
    check(rt->fresh == (given.data[given.len - 1] == '?'));
    given.len -= rt->fresh;
    check_spelling(&given, &rt->lib);

    again = rt->lib;
    check(ngx_http_lua_ffi_name_key(&rt->lib, &rt->cfg, rt->fresh, &rt->key)
          == NGX_OK);
    check(is_same(&again, &rt->lib));
    check(rt->cfg.data == NULL || is_same(&cfg, &rt->cfg));

    free(given.data);
    free(cfg.data);

    return 1;
}


static void
check_keys(runtime_t *one, runtime_t *two)
{
    check(is_same(&one->key, &two->key)
          == (is_same(&one->lib, &two->lib)
              && one->fresh == two->fresh
              && (one->cfg.data == NULL) == (two->cfg.data == NULL)
              && is_same(&one->cfg, &two->cfg)));
}


/* What of the configuration may be shown. */
static size_t
shown(runtime_t *rt)
{
    size_t      i;
    ngx_uint_t  commas;

    for (i = 0, commas = 0; i < rt->cfg.len; i++) {
        commas += rt->cfg.data[i] == ',';

        if (commas == 2) {
            break;
        }
    }

    return i;
}


static void
check_shown(runtime_t *rt, size_t size)
{
    size_t      i, n;
    u_char     *buf, c;
    ngx_str_t   name;

    buf = malloc(size + 1);
    check(buf != NULL);

    name.data = buf;
    ngx_http_lua_ffi_name_show(&rt->lib, &rt->cfg, rt->fresh, &name, size);
    check(name.data == buf && name.len <= size);

    n = rt->lib.len + rt->fresh;
    check(name.len <= n + 1 + shown(rt));

    for (i = 0; i < name.len; i++) {
        c = i < rt->lib.len ? rt->lib.data[i]
            : i < n ? '?'
            : i == n ? ' '
            : rt->cfg.data[i - n - 1];

        check(buf[i] == (c < ' ' || c == 0x7f ? '?' : c));
    }

    free(buf);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t       len, cut, other;
    input_t      input = { data, size };
    runtime_t    one, two;
    const char  *text;

    cut = input_byte(&input);
    other = input_byte(&input);
    size = input_byte(&input);
    text = input_text(&input, input.left, &len);

    if (!make_runtime(text, len, cut, &one)) {
        return 0;
    }

    check_shown(&one, size);

    if (make_runtime(text, len, other, &two)) {
        check_keys(&one, &two);
        ngx_free(two.key.data);
    }

    ngx_free(one.key.data);

    return 0;
}

#include "ngx_http_lua_ffi_image.h"

#include "ffi_elf.h"
#include "ffi_preempt.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>


/* More than any library that we know needs from its own folder. */
#define NGX_HTTP_LUA_FFI_NEEDED_MAX  64

/*
 * How many keys of thread-specific data, of 1024 in a process, must be free for
 * one more library: others need some, too.  Of copies there is no end, so that
 * they leave some to libraries that are yet to be mapped.
 */
#define NGX_HTTP_LUA_FFI_KEYS_FREE   16
#define NGX_HTTP_LUA_FFI_KEYS_COPY   64


_Static_assert(FFI_PREEMPT_MAX >= NGX_HTTP_LUA_FFI_RESIDENT_MAX,
               "a Go library without room for its handler");


/* What a copy needs from the folder of the original, while it is opened. */
typedef struct {
    ngx_uint_t  n;
    ngx_uint_t  global;
    void       *handles[NGX_HTTP_LUA_FFI_NEEDED_MAX];
} ngx_http_lua_ffi_needed_t;


/* any thread */
static atomic_uint                ngx_http_lua_ffi_residents;

/* guarded by lock, which is held while one is mapped or unmapped: no copies */
static ngx_http_lua_ffi_image_t  *ngx_http_lua_ffi_images;

static pthread_mutex_t            ngx_http_lua_ffi_images_lock
    = PTHREAD_MUTEX_INITIALIZER;


static char *ngx_http_lua_ffi_image_format(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));
static ngx_uint_t ngx_http_lua_ffi_image_free_keys(void);
static int ngx_http_lua_ffi_image_copy(ngx_http_lua_ffi_location_t *location,
    char **error);
static ngx_int_t ngx_http_lua_ffi_image_map(ngx_http_lua_ffi_image_t *image,
    ngx_http_lua_ffi_location_t *location, const char *file, char **error);
static ngx_uint_t ngx_http_lua_ffi_image_is_mapped(const char *file);
static ngx_int_t ngx_http_lua_ffi_image_count(
    ngx_http_lua_ffi_image_t *image, char **error);
static ngx_http_lua_ffi_image_t *ngx_http_lua_ffi_image_known(void *handle);
static void ngx_http_lua_ffi_image_add(ngx_http_lua_ffi_image_t *image);
static void ngx_http_lua_ffi_image_remove(ngx_http_lua_ffi_image_t *image);
static void ngx_http_lua_ffi_image_open_needed(const char *path, void *data);
static ngx_int_t ngx_http_lua_ffi_image_symbols(
    ngx_http_lua_ffi_image_t *image, char **error);
static void ngx_http_lua_ffi_image_find_path(ngx_http_lua_ffi_image_t *image);


/* malloc()ed; NULL without memory, which is as good as a message then */
static char *
ngx_http_lua_ffi_image_format(const char *fmt, ...)
{
    int       n;
    char     *msg;
    va_list   args;

    va_start(args, fmt);
    n = vasprintf(&msg, fmt, args);
    va_end(args);

    return n == -1 ? NULL : msg;
}


void
ngx_http_lua_ffi_image_locate(ngx_http_lua_ffi_image_t *image,
    ngx_http_lua_ffi_location_t *location)
{
    if (image->found && strlen(image->path) < sizeof(location->path)
        && stat(image->path, &location->st) == 0)
    {
        strcpy(location->path, image->path);
        location->found = 1;
    }
}


ngx_uint_t
ngx_http_lua_ffi_image_is(ngx_http_lua_ffi_image_t *image,
    ngx_http_lua_ffi_location_t *location)
{
    struct stat  *a, *b;

    a = &image->st;
    b = &location->st;

    return image->found && location->found
           && a->st_dev == b->st_dev
           && a->st_ino == b->st_ino
           && a->st_size == b->st_size
           && a->st_mtim.tv_sec == b->st_mtim.tv_sec
           && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec
           && a->st_ctim.tv_sec == b->st_ctim.tv_sec
           && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}


/*
 * A library may take keys that it never gives back, not even when it is
 * unmapped: Rust's standard library does, and ends the process when there is
 * none.  Taking keys to count them would do that to others; glibc says of each
 * number whether it is a key, and a NULL that is set where there is one changes
 * nothing.
 */
static ngx_uint_t
ngx_http_lua_ffi_image_free_keys(void)
{
    ngx_uint_t     n;
    pthread_key_t  key;

    n = 0;

    for (key = 0; key < PTHREAD_KEYS_MAX; key++) {
        if (pthread_getspecific(key) == NULL
            && pthread_setspecific(key, NULL) == EINVAL)
        {
            n++;
        }
    }

    return n;
}


/* A descriptor of a copy in memory, or -1. */
static int
ngx_http_lua_ffi_image_copy(ngx_http_lua_ffi_location_t *location,
    char **error)
{
    int      from, to;
    char     name[256];
    ssize_t  n;

    to = -1;

    from = open(location->path, O_RDONLY|O_CLOEXEC);
    if (from == -1) {
        goto failed;
    }

    /* of the very file that is copied, should the path change hands */
    if (fstat(from, &location->st) == -1) {
        goto failed;
    }

    /* what /proc/PID/maps and a debugger show, cut to what is allowed */
    (void) snprintf(name, sizeof(name), "%.200s",
                    strrchr(location->path, '/') + 1);

    to = memfd_create(name, MFD_CLOEXEC);
    if (to == -1) {
        goto failed;
    }

    do {
        n = sendfile(to, from, NULL, INT_MAX);
    } while (n > 0 || (n == -1 && errno == EINTR));

    if (n == -1) {
        goto failed;
    }

    (void) close(from);

    return to;

failed:

    *error = ngx_http_lua_ffi_image_format("cannot copy \"%s\": %s",
                                           location->path, strerror(errno));

    if (to != -1) {
        (void) close(to);
    }

    if (from != -1) {
        (void) close(from);
    }

    return -1;
}


ngx_http_lua_ffi_image_t *
ngx_http_lua_ffi_image_open(ngx_http_lua_ffi_location_t *location,
    ngx_uint_t copy, ngx_uint_t global, char **error)
{
    char                       name[sizeof("/proc/self/fd/") + NGX_INT_T_LEN];
    const char                *file;
    ngx_http_lua_ffi_image_t  *image;

    image = calloc(1, sizeof(ngx_http_lua_ffi_image_t));
    if (image == NULL) {
        *error = strdup("no memory");
        return NULL;
    }

    copy = copy && location->found;

    image->fd = -1;
    image->global = global;
    image->found = location->found;

    file = location->path;

    if (ngx_http_lua_ffi_image_free_keys()
        < (copy ? NGX_HTTP_LUA_FFI_KEYS_COPY : NGX_HTTP_LUA_FFI_KEYS_FREE))
    {
        *error = strdup("libraries that were read afresh many times have "
                        "used up the keys of thread-specific data; reload "
                        "nginx");
        goto failed;
    }

    if (copy) {
        image->fd = ngx_http_lua_ffi_image_copy(location, error);
        if (image->fd == -1) {
            goto failed;
        }

        /*
         * The dynamic linker tells images apart by name, and the descriptor
         * stays open as long as the image is mapped: no two have one name.
         */
        (void) snprintf(name, sizeof(name), "/proc/self/fd/%d", image->fd);
        file = name;
    }

    image->st = location->st;

    image->path = strdup(location->path);
    if (image->path == NULL) {
        *error = strdup("no memory");
        goto failed;
    }

    if (ngx_http_lua_ffi_image_map(image, location, file, error) != NGX_OK) {
        goto failed;
    }

    if (ngx_http_lua_ffi_image_symbols(image, error) != NGX_OK) {
        if (ngx_http_lua_ffi_image_close(image) == NGX_OK) {
            goto failed;
        }

        ngx_http_lua_ffi_image_leave(image);
        return NULL;
    }

    return image;

failed:

    ngx_http_lua_ffi_image_free(image);

    return NULL;
}


static ngx_int_t
ngx_http_lua_ffi_image_map(ngx_http_lua_ffi_image_t *image,
    ngx_http_lua_ffi_location_t *location, const char *file, char **error)
{
    ngx_int_t                  rc;
    ngx_uint_t                 mapped, counted;
    ngx_http_lua_ffi_needed_t  needed;

    if (location->found && ffi_elf_truncated(file)) {
        *error = ngx_http_lua_ffi_image_format("\"%s\" is truncated: is it "
                                               "still being written?",
                                               location->path);
        return NGX_ERROR;
    }

    needed.n = 0;
    needed.global = image->global;

    counted = 0;
    rc = NGX_ERROR;

    (void) pthread_mutex_lock(&ngx_http_lua_ffi_images_lock);

    mapped = ngx_http_lua_ffi_image_is_mapped(file);

    if (location->found) {
        image->resident = ffi_elf_resident(file);
        counted = image->resident && !mapped;

        if (counted && ngx_http_lua_ffi_image_count(image, error) != NGX_OK) {
            goto done;
        }
    }

    if (image->fd != -1) {
        ffi_elf_origin_needed(file, location->path,
                              ngx_http_lua_ffi_image_open_needed, &needed);
    }

    image->handle = dlopen(file, RTLD_NOW | (image->global ? RTLD_GLOBAL
                                                           : RTLD_LOCAL));
    if (image->handle == NULL) {
        *error = image->fd == -1
                     ? strdup(dlerror())
                     : ngx_http_lua_ffi_image_format("copy of \"%s\": %s",
                                                     location->path,
                                                     dlerror());
    }

    /* the image holds them from here on */
    while (needed.n > 0) {
        (void) dlclose(needed.handles[--needed.n]);
    }

    if (image->handle == NULL) {
        atomic_fetch_sub(&ngx_http_lua_ffi_residents, counted);
        goto done;
    }

    ffi_preempt_adopt();

    if (!location->found) {
        ngx_http_lua_ffi_image_find_path(image);
        image->resident = ffi_elf_resident(image->path);
        atomic_fetch_add(&ngx_http_lua_ffi_residents,
                         image->resident && !mapped);
    }

    ngx_http_lua_ffi_image_add(image);

    rc = NGX_OK;

done:

    (void) pthread_mutex_unlock(&ngx_http_lua_ffi_images_lock);

    return rc;
}


static ngx_uint_t
ngx_http_lua_ffi_image_is_mapped(const char *file)
{
    void  *handle;

    handle = dlopen(file, RTLD_NOW|RTLD_NOLOAD);

    if (handle != NULL) {
        (void) dlclose(handle);
    }

    return handle != NULL;
}


/* One more that cannot be unmapped must not be one too many. */
static ngx_int_t
ngx_http_lua_ffi_image_count(ngx_http_lua_ffi_image_t *image, char **error)
{
    ngx_uint_t  n;

    n = atomic_fetch_add(&ngx_http_lua_ffi_residents, 1);

    if (n >= NGX_HTTP_LUA_FFI_RESIDENT_MAX) {
        atomic_fetch_sub(&ngx_http_lua_ffi_residents, 1);

        *error = ngx_http_lua_ffi_image_format("\"%s\" would be one too many: "
                     "%d libraries are mapped that cannot be unmapped, as "
                     "those in Go; reload nginx to start with none",
                     image->path, NGX_HTTP_LUA_FFI_RESIDENT_MAX);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* guarded by lock; what is known of a mapping that is no copy, or NULL */
static ngx_http_lua_ffi_image_t *
ngx_http_lua_ffi_image_known(void *handle)
{
    ngx_http_lua_ffi_image_t  *image;

    for (image = ngx_http_lua_ffi_images; image != NULL; image = image->next) {
        if (image->handle == handle) {
            break;
        }
    }

    return image;
}


/*
 * guarded by lock.  A library under a second name is what is mapped already,
 * which may be older than the file.
 */
static void
ngx_http_lua_ffi_image_add(ngx_http_lua_ffi_image_t *image)
{
    ngx_http_lua_ffi_image_t  *known;

    if (image->fd != -1) {
        return;
    }

    known = ngx_http_lua_ffi_image_known(image->handle);

    if (known != NULL) {
        image->st = known->st;
        image->found = known->found;
        return;
    }

    image->next = ngx_http_lua_ffi_images;
    ngx_http_lua_ffi_images = image;
}


/* guarded by lock */
static void
ngx_http_lua_ffi_image_remove(ngx_http_lua_ffi_image_t *image)
{
    ngx_http_lua_ffi_image_t  **next;

    for (next = &ngx_http_lua_ffi_images; *next != NULL; next = &(*next)->next)
    {
        if (*next == image) {
            *next = image->next;
            return;
        }
    }
}


ngx_uint_t
ngx_http_lua_ffi_image_residents(void)
{
    return atomic_load(&ngx_http_lua_ffi_residents);
}


/*
 * The dynamic linker takes a mapped library for the one that is needed when
 * their names agree, wherever it came from.
 */
static void
ngx_http_lua_ffi_image_open_needed(const char *path, void *data)
{
    void                       *handle;
    ngx_http_lua_ffi_needed_t  *needed = data;

    if (needed->n == NGX_HTTP_LUA_FFI_NEEDED_MAX) {
        return;
    }

    handle = dlopen(path, RTLD_NOW | (needed->global ? RTLD_GLOBAL
                                                     : RTLD_LOCAL));
    if (handle != NULL) {
        needed->handles[needed->n++] = handle;
        ffi_preempt_adopt();
    }
}


static ngx_int_t
ngx_http_lua_ffi_image_symbols(ngx_http_lua_ffi_image_t *image, char **error)
{
    image->init = (int (*)(char *, void *)) dlsym(image->handle,
                                                  "libffi_init");
    image->fini = (void (*)(void *)) dlsym(image->handle, "libffi_fini");
    image->close = (void (*)(void *)) dlsym(image->handle, "libffi_close");
    image->overdue = (void (*)(void *, void *)) dlsym(image->handle,
                                                      "libffi_overdue");

    if (image->init == NULL) {
        *error = ngx_http_lua_ffi_image_format("\"%s\" has no libffi_init()",
                                         image->path);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* Where the dynamic linker found what it was left to find. */
static void
ngx_http_lua_ffi_image_find_path(ngx_http_lua_ffi_image_t *image)
{
    char             *path;
    struct link_map  *map;

    if (dlinfo(image->handle, RTLD_DI_LINKMAP, &map) != 0) {
        return;
    }

    path = strdup(map->l_name);

    if (path != NULL) {
        free(image->path);
        image->path = path;
        image->found = stat(path, &image->st) == 0;
    }
}


void
ngx_http_lua_ffi_image_globalize(ngx_http_lua_ffi_image_t *image)
{
    struct link_map  *map;

    if (image->global || dlinfo(image->handle, RTLD_DI_LINKMAP, &map) != 0) {
        return;
    }

    if (dlopen(map->l_name, RTLD_NOW|RTLD_NOLOAD|RTLD_GLOBAL) != NULL) {
        (void) dlclose(image->handle);
        image->global = 1;
    }
}


ngx_int_t
ngx_http_lua_ffi_image_close(ngx_http_lua_ffi_image_t *image)
{
    void             *handle;
    char             *name;
    struct link_map  *map;

    name = NULL;

    if (dlinfo(image->handle, RTLD_DI_LINKMAP, &map) == 0) {
        name = strdup(map->l_name);
    }

    if (name == NULL) {
        return NGX_DECLINED;
    }

    (void) pthread_mutex_lock(&ngx_http_lua_ffi_images_lock);

    (void) dlclose(image->handle);

    handle = dlopen(name, RTLD_NOW|RTLD_NOLOAD);
    free(name);

    if (handle != NULL) {
        image->handle = handle;

    } else {
        ngx_http_lua_ffi_image_remove(image);
    }

    (void) pthread_mutex_unlock(&ngx_http_lua_ffi_images_lock);

    return handle != NULL ? NGX_DECLINED : NGX_OK;
}


void
ngx_http_lua_ffi_image_leave(ngx_http_lua_ffi_image_t *image)
{
    ngx_uint_t  known;

    (void) pthread_mutex_lock(&ngx_http_lua_ffi_images_lock);
    known = ngx_http_lua_ffi_image_known(image->handle) == image;
    (void) pthread_mutex_unlock(&ngx_http_lua_ffi_images_lock);

    if (!known) {
        /* the descriptor is the name of what stays mapped */
        image->fd = -1;
        ngx_http_lua_ffi_image_free(image);
    }
}


void
ngx_http_lua_ffi_image_free(ngx_http_lua_ffi_image_t *image)
{
    if (image->fd != -1) {
        (void) close(image->fd);
    }

    free(image->path);
    free(image);
}

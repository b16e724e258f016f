#include "ngx_http_lua_ffi_registry.h"

#include "ngx_http_lua_ffi_name.h"


static ngx_rbtree_t       ngx_http_lua_ffi_registry;
static ngx_rbtree_node_t  ngx_http_lua_ffi_registry_sentinel;


void
ngx_http_lua_ffi_registry_init(void)
{
    ngx_rbtree_init(&ngx_http_lua_ffi_registry,
                    &ngx_http_lua_ffi_registry_sentinel,
                    ngx_str_rbtree_insert_value);
}


ngx_http_lua_ffi_entry_t *
ngx_http_lua_ffi_registry_get(ngx_str_t *lib, ngx_str_t *cfg)
{
    uint32_t                   hash;
    ngx_str_t                  key;
    ngx_uint_t                 fresh;
    ngx_str_node_t            *node;
    ngx_http_lua_ffi_entry_t  *entry;

    fresh = ngx_http_lua_ffi_name_spell(lib);

    if (ngx_http_lua_ffi_name_key(lib, cfg, fresh, &key) != NGX_OK) {
        return NULL;
    }

    hash = ngx_crc32_long(key.data, key.len);
    node = ngx_str_rbtree_lookup(&ngx_http_lua_ffi_registry, &key, hash);

    if (node != NULL) {
        ngx_free(key.data);
        return (ngx_http_lua_ffi_entry_t *) node;
    }

    entry = ngx_calloc(sizeof(ngx_http_lua_ffi_entry_t), ngx_cycle->log);
    if (entry == NULL) {
        ngx_free(key.data);
        return NULL;
    }

    entry->node.node.key = hash;
    entry->node.str = key;
    entry->lib = *lib;
    entry->cfg = *cfg;
    entry->fresh = fresh;
    ngx_http_lua_ffi_waiters_init(&entry->later);

    entry->registered = 1;
    ngx_rbtree_insert(&ngx_http_lua_ffi_registry, &entry->node.node);

    return entry;
}


ngx_http_lua_ffi_entry_t *
ngx_http_lua_ffi_registry_next(ngx_http_lua_ffi_entry_t *entry)
{
    ngx_rbtree_t  *tree;

    tree = &ngx_http_lua_ffi_registry;

    if (entry != NULL) {
        return (ngx_http_lua_ffi_entry_t *)
               ngx_rbtree_next(tree, &entry->node.node);
    }

    if (tree->root == tree->sentinel) {
        return NULL;
    }

    return (ngx_http_lua_ffi_entry_t *)
           ngx_rbtree_min(tree->root, tree->sentinel);
}


void
ngx_http_lua_ffi_registry_remove(ngx_http_lua_ffi_entry_t *entry)
{
    if (entry->registered) {
        ngx_rbtree_delete(&ngx_http_lua_ffi_registry, &entry->node.node);
        entry->registered = 0;
    }
}


void
ngx_http_lua_ffi_entry_hold(ngx_http_lua_ffi_entry_t *entry)
{
    entry->users++;
}


void
ngx_http_lua_ffi_entry_release(ngx_http_lua_ffi_entry_t *entry)
{
    if (--entry->users == 0) {
        ngx_http_lua_ffi_registry_remove(entry);
        ngx_free(entry->node.str.data);
        ngx_free(entry);
    }
}

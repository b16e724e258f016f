/*
 * libresty_ffi_python.so: an older name of libffi_python3.so, which it needs.
 * libffi_init is found there.
 */

typedef int  translation_unit_is_not_empty_t;

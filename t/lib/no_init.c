/* No library of ours: it has no libffi_init(). */


int  no_init;

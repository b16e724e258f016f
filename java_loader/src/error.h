/*
 * Java's exceptions as text: what keeps them on this side of the contract.
 * Those of user code are reported in Java (Report.java); these are the last
 * resort, for when that failed or does not run yet.
 */

#ifndef ERROR_H_INCLUDED
#define ERROR_H_INCLUDED


#include <jni.h>
#include <stddef.h>


/*
 * On an attached thread.  Clears the pending exception and writes it, cut to
 * size and NUL-terminated, into text.
 */
void error_text(JNIEnv *env, char *text, size_t size);


#endif /* ERROR_H_INCLUDED */

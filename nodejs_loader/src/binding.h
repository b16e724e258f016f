/*
 * What JavaScript sees of the loader: process._linkedBinding('resty_ffi'), in
 * each runtime and in the worker threads of its code.
 */

#ifndef BINDING_H_INCLUDED
#define BINDING_H_INCLUDED


#include <node.h>


namespace resty_ffi {

class Runtime;

namespace binding {

/* The runtime's thread, before its JavaScript runs. */
void Register(node::Environment *env, Runtime *runtime);

}  // namespace binding
}  // namespace resty_ffi


#endif /* BINDING_H_INCLUDED */

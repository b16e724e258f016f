/*
 * Child processes: libuv and nginx both want SIGCHLD, of which a process has
 * one handler.
 */

#ifndef CHILDREN_H_INCLUDED
#define CHILDREN_H_INCLUDED


#include <string>


namespace resty_ffi {
namespace children {

/*
 * Once.  From now on both are told, and neither takes the handler from the
 * other.  Returns "", or why it failed.
 */
std::string Share();

}  // namespace children
}  // namespace resty_ffi


#endif /* CHILDREN_H_INCLUDED */

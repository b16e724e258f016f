/*
 * Child processes: libuv and nginx both want SIGCHLD, of which a process has
 * one handler, and children are not to have nginx's connections.
 */

#ifndef CHILDREN_H_INCLUDED
#define CHILDREN_H_INCLUDED


#include <string>


namespace resty_ffi {
namespace children {

/*
 * Until it has succeeded.  From then on both are told, and neither takes the
 * handler from the other.  Returns "", or why it failed.
 */
std::string Share();

/*
 * Each thread that runs JavaScript: processes that it starts get no descriptor
 * but those that are meant for them.
 */
void Guard();

}  // namespace children
}  // namespace resty_ffi


#endif /* CHILDREN_H_INCLUDED */

/*
 * Descriptors that are free: Node.js ends the process when it starts, or makes
 * an event loop, without those that it needs.
 */

#ifndef DESCRIPTORS_H_INCLUDED
#define DESCRIPTORS_H_INCLUDED


#include <string>


namespace resty_ffi {
namespace descriptors {

/* Node.js opens fourteen when it starts, and six for each runtime. */
constexpr int kStart = 32;
constexpr int kRuntime = 16;

/*
 * Any thread.  Returns "" if so many are free now, or why not.  Others may
 * take them at any time: the more are asked for, the less that matters.
 */
std::string Lack(int needed);

}  // namespace descriptors
}  // namespace resty_ffi


#endif /* DESCRIPTORS_H_INCLUDED */

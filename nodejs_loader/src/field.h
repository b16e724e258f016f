/*
 * What modules for lua-resty-ffi use, in any thread of theirs: pollTask(tq),
 * getRequest(task) and respondTask(task, rc, response), handles being BigInts.
 */

#ifndef FIELD_H_INCLUDED
#define FIELD_H_INCLUDED


#include "value.h"


namespace resty_ffi {
namespace field {

/* Data of the exports is the runtime. */
void Init(value::Exports &to);

}  // namespace field
}  // namespace resty_ffi


#endif /* FIELD_H_INCLUDED */

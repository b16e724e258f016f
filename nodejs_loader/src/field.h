/*
 * What modules for lua-resty-ffi use, in any thread of theirs: pollTask(tq),
 * getRequest(task) and respondTask(task, rc, response), handles being BigInts.
 */

#ifndef FIELD_H_INCLUDED
#define FIELD_H_INCLUDED


#include "value.h"

#include <shared_mutex>
#include <string_view>
#include <unordered_set>


namespace resty_ffi {
namespace field {

/*
 * Tasks of a runtime that its modules polled themselves and have not answered
 * yet.  Any thread.
 */
class Tasks {
 public:
    /* False without memory. */
    bool Add(void *task);

    /* Whether it was there; the caller answers it, and nobody else reads it. */
    bool Take(void *task);

    /* Calls reader if the task is there, which stays so meanwhile. */
    template <typename Reader>
    void Read(void *task, Reader reader) {
        std::shared_lock<std::shared_mutex> guard(lock_);

        if (tasks_.count(task) != 0) {
            reader();
        }
    }

    /* When no module runs any more. */
    void FailAll(std::string_view reason);

 private:
    std::shared_mutex lock_;
    std::unordered_set<void *> tasks_;      /* guarded by lock_ */
};

/* Data of the exports is the runtime. */
void Init(value::Exports &to);

}  // namespace field
}  // namespace resty_ffi


#endif /* FIELD_H_INCLUDED */

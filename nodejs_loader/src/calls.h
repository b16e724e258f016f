/*
 * Calls that were polled and are not answered yet, by small numbers (slots):
 * what JavaScript knows a call by.  Of one runtime; its thread only.
 */

#ifndef CALLS_H_INCLUDED
#define CALLS_H_INCLUDED


#include <cstddef>
#include <string_view>
#include <vector>


namespace resty_ffi {

class Calls {
 public:
    /* How many are taken at once. */
    static constexpr int kBatch = 64;

    explicit Calls(void *tq) : tq_(tq) { Grow(); }

    /*
     * Takes what waits, without waiting: slots[] gets up to max (kBatch at
     * most).  Returns their number, 0, or -1 at the end of the queue.  Throws
     * without memory, and then has taken none.
     */
    int Poll(int *slots, int max);

    /* The task in a slot; nullptr when it was answered. */
    void *Task(size_t slot) const { return slot < tasks_.size() ? tasks_[slot] : nullptr; }

    /* The task, taken out of its slot: the caller answers it. */
    void *Release(size_t slot);

    /* Slots of calls whose callers have gone since; throws without memory. */
    std::vector<int> Abandoned();

    /* Answers all that were taken and all that wait. */
    void FailAll(std::string_view reason);

 private:
    void Grow();

    void *tq_;
    std::vector<void *> tasks_;
    std::vector<int> free_;         /* has room for all */
};

}  // namespace resty_ffi


#endif /* CALLS_H_INCLUDED */

#include "calls.h"

#include "contract.h"

#include <algorithm>
#include <unordered_map>


namespace resty_ffi {

namespace {

constexpr int kFailed = 1;


void Fail(void *task, std::string_view reason) {
    if (task != nullptr) {
        ngx_http_lua_ffi_respond_copy(task, kFailed, reason.data(), reason.size());
    }
}

}  // namespace


// More slots for a batch.
void Calls::Grow() {
    size_t slot = tasks_.size();

    free_.reserve(slot + kBatch);
    tasks_.resize(slot + kBatch);

    for (; slot < tasks_.size(); slot++) {
        free_.push_back(static_cast<int>(slot));
    }
}


int Calls::Poll(int *slots, int max) {
    void *tasks[kBatch];

    if (free_.empty()) {
        Grow();
    }

    max = std::min(max, static_cast<int>(free_.size()));
    int n = ngx_http_lua_ffi_task_poll_many(tq_, tasks, max, 0);

    for (int i = 0; i < n; i++) {
        slots[i] = free_.back();
        free_.pop_back();
        tasks_[slots[i]] = tasks[i];
    }

    return n;
}


void *Calls::Release(size_t slot) {
    void *task = Task(slot);

    if (task != nullptr) {
        tasks_[slot] = nullptr;
        free_.push_back(static_cast<int>(slot));
    }

    return task;
}


std::vector<int> Calls::Abandoned() {
    void *tasks[kBatch];
    std::vector<int> slots;
    std::unordered_map<void *, int> taken;

    for (;;) {
        int n = ngx_http_lua_ffi_poll_abandoned(tq_, tasks, kBatch);

        if (n <= 0) {
            return slots;
        }

        if (taken.empty()) {
            for (size_t slot = 0; slot < tasks_.size(); slot++) {
                taken.emplace(tasks_[slot], static_cast<int>(slot));
            }
        }

        for (int i = 0; i < n; i++) {
            auto found = taken.find(tasks[i]);

            if (found != taken.end()) {
                slots.push_back(found->second);
            }
        }
    }
}


void Calls::FailAll(std::string_view reason) {
    void *tasks[kBatch];
    int n = 0;

    for (size_t slot = 0; slot < tasks_.size(); slot++) {
        Fail(Release(slot), reason);
    }

    while ((n = ngx_http_lua_ffi_task_poll_many(tq_, tasks, kBatch, 0)) > 0) {
        std::for_each(tasks, tasks + n, [reason](void *task) { Fail(task, reason); });
    }
}

}  // namespace resty_ffi

#include "calls.h"

#include "contract.h"

#include <unordered_map>


namespace resty_ffi {

namespace {

constexpr int kFailed = 1;

}  // namespace


int Calls::Poll(int *slots, int max) {
    void *tasks[kBatch];
    int n = ngx_http_lua_ffi_task_poll_many(tq_, tasks, max, 0);

    for (int i = 0; i < n; i++) {
        if (free_.empty()) {
            free_.push_back(static_cast<int>(tasks_.size()));
            tasks_.push_back(nullptr);
        }

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


void Calls::FailAll(const std::string &reason) {
    int slots[kBatch];

    do {
        for (size_t slot = 0; slot < tasks_.size(); slot++) {
            void *task = Release(slot);

            if (task != nullptr) {
                ngx_http_lua_ffi_respond_copy(task, kFailed, reason.data(), reason.size());
            }
        }
    } while (Poll(slots, kBatch) > 0);
}

}  // namespace resty_ffi

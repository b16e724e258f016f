/*
 * Node.js and V8 as the process has them: started once, ended never.
 */

#ifndef PLATFORM_H_INCLUDED
#define PLATFORM_H_INCLUDED


#include <node.h>

#include <memory>
#include <string>
#include <vector>


namespace resty_ffi {

class Platform {
 public:
    /*
     * Any thread; blocks while another one starts it.  library: where the
     * loader was found, beside its JavaScript files; borrowed.
     *
     * Returns nullptr, with the reason, if it cannot be started.  The next
     * call tries again, but for what Node.js itself does once in a process.
     * Throws std::bad_alloc: then, too.
     */
    static Platform *Start(const char *library, std::string *why);

    /* Constant from now on; any thread. */
    node::MultiIsolatePlatform *v8() const { return v8_; }
    const std::vector<std::string> &args() const { return args_; }
    const std::vector<std::string> &exec_args() const { return exec_args_; }

    /* The folder that has the package resty_ffi. */
    const std::string &modules() const { return modules_; }

 private:
    std::string Init(const char *library);

    bool is_started_ = false;
    // Unique before Node.js 24, shared since; to turn one into the other needs memory.
    decltype(node::InitializeOncePerProcess(
        {}, node::ProcessInitializationFlags::kNoFlags)) result_;
    node::MultiIsolatePlatform *v8_ = nullptr;
    std::vector<std::string> args_;
    std::vector<std::string> exec_args_;
    std::string modules_;
};

}  // namespace resty_ffi


#endif /* PLATFORM_H_INCLUDED */

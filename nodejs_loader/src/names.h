/* Names of methods as JavaScript strings, kept.  The isolate's thread only. */

#ifndef NAMES_H_INCLUDED
#define NAMES_H_INCLUDED


#include <node.h>

#include <string>
#include <unordered_map>


namespace resty_ffi {

class Names {
 public:
    /* Without memory it is not kept. */
    v8::Local<v8::String> Get(v8::Isolate *isolate, const char *name, size_t length);

    /* Before the isolate ends. */
    void Clear();

 private:
    void Keep(v8::Isolate *isolate, const char *name, size_t length);

    std::unordered_map<std::string, v8::Global<v8::String>> kept_;
    std::string last_name_;
    v8::Global<v8::String> last_;
};

}  // namespace resty_ffi


#endif /* NAMES_H_INCLUDED */

/* Bytes as JavaScript values, and back.  The thread of the isolate only. */

#ifndef VALUE_H_INCLUDED
#define VALUE_H_INCLUDED


#include <node.h>

#include <new>
#include <string>


namespace resty_ffi {
namespace value {

/* From UTF-8; what is none becomes replacement characters. */
v8::Local<v8::String> NewString(v8::Isolate *isolate, const char *text, size_t length);
v8::Local<v8::String> NewString(v8::Isolate *isolate, const std::string &text);

/* A Buffer with a copy; undefined without memory. */
v8::Local<v8::Value> NewBuffer(v8::Isolate *isolate, const char *data, size_t length);

/* Whether it can be sent: a string, a view of bytes, null, undefined. */
bool IsResponse(v8::Local<v8::Value> value);

/* Answers the task with it. */
void Respond(v8::Isolate *isolate, void *task, int rc, v8::Local<v8::Value> value);


/* Names for JavaScript, whose functions get data. */
struct Exports {
    v8::Isolate *isolate;
    v8::Local<v8::Context> context;
    v8::Local<v8::Object> object;
    v8::Local<v8::Value> data;

    void Add(const char *name, v8::Local<v8::Value> value);

    /* A function, which JavaScript sees throw when it throws std::bad_alloc. */
    template <v8::FunctionCallback function>
    void Add(const char *name) {
        AddFunction(name, [](const v8::FunctionCallbackInfo<v8::Value> &info) {
            try {
                function(info);
            } catch (const std::bad_alloc &) {
                ThrowNoMemory(info.GetIsolate());
            }
        });
    }

 private:
    void AddFunction(const char *name, v8::FunctionCallback function);
    static void ThrowNoMemory(v8::Isolate *isolate);
};

}  // namespace value
}  // namespace resty_ffi


#endif /* VALUE_H_INCLUDED */

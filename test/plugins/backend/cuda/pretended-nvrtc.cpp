// An NVRTC that is told by its environment what it is: the newest capability that it compiles for, whether it compiles,
// how long that takes, and whether its process is killed meanwhile. Its programs are none for any driver.
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#define API extern "C" __attribute__((visibility("default")))

namespace {
const char log_text[] = "kernels.cu(7): error: identifier \"nothing\" is undefined\n1 error detected\n";
const char image[] = ".version 99.0";
bool is_set(const char* name) { return getenv(name) != nullptr; }
}  // namespace

API int nvrtcVersion(int* major, int* minor) { return *major = 11, *minor = 3, 0; }
API int nvrtcGetNumSupportedArchs(int* count) { return *count = 2, 0; }
API int nvrtcGetSupportedArchs(int* list) { return list[0] = 52, list[1] = atoi(getenv("NEWEST")), 0; }
API int nvrtcCreateProgram(void** program, const char*, const char*, int, const char* const*, const char* const*) {
  return *program = const_cast<char*>(image), 0;
}
API int nvrtcDestroyProgram(void**) { return 0; }
API int nvrtcCompileProgram(void*, int, const char* const*) {
  if (is_set("SECONDS_TO_COMPILE")) sleep(atoi(getenv("SECONDS_TO_COMPILE")));
  if (is_set("KILLED")) raise(SIGKILL);
  return is_set("COMPILES") ? 0 : 6;
}
API int nvrtcGetProgramLogSize(void*, size_t* bytes) { return *bytes = sizeof log_text, 0; }
API int nvrtcGetProgramLog(void*, char* log) { return strcpy(log, log_text), 0; }
API int nvrtcGetPTXSize(void*, size_t* bytes) { return *bytes = sizeof image, 0; }
API int nvrtcGetPTX(void*, char* to) { return strcpy(to, image), 0; }
API int nvrtcGetCUBINSize(void*, size_t* bytes) { return *bytes = sizeof image, 0; }
API int nvrtcGetCUBIN(void*, char* to) { return strcpy(to, image), 0; }
API const char* nvrtcGetErrorString(int) { return "NVRTC_ERROR_COMPILATION"; }

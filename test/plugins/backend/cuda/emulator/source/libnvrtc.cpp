// libnvrtc.so.12 for machines without a GPU: kernels are compiled by g++, for the emulated driver.
#include <map>
#include <memory>
#include <mutex>

#include "program.h"
#include "settings.h"

#define API extern "C" __attribute__((visibility("default")))

namespace {

using namespace emulated;

enum Result : int {
  success = 0,
  invalid_input = 3,
  invalid_program = 4,
  invalid_option = 5,
  compilation = 6,
};

struct Settings {
  // Of no real one, so that in a cache nobody takes a program of the one for that of the other.
  int version = 12100;
  bool sanitize = false;
};

Settings settings() {
  Settings s;
  read_settings(environment_settings(), [&](const std::string& key, const std::string& value) {
    if (key == "nvrtc") s.version = atoi(value.c_str());
    if (key == "sanitize") s.sanitize = value == "1";
    return true;
  });
  return s;
}

struct Program {
  ProgramText text;
  std::string log, image;
  bool compiled = false;
};

std::mutex& mutex = *new std::mutex;
std::map<Program*, std::unique_ptr<Program>>& programs = *new std::map<Program*, std::unique_ptr<Program>>;

Program* find(Program* handle) {
  const std::lock_guard<std::mutex> lock(mutex);
  const auto found = programs.find(handle);
  return found == programs.end() ? nullptr : found->second.get();
}

const std::vector<int>& architectures() {
  static const std::vector<int> before{50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90};
  static const std::vector<int> with_blackwell{50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90, 100, 101, 120};
  return settings().version >= 12080 ? with_blackwell : before;
}

int give(const std::string& text, char* to) {
  if (to == nullptr) return invalid_input;
  memcpy(to, text.c_str(), text.size() + 1);
  return success;
}

int give_size(const std::string& text, size_t* bytes) {
  if (bytes == nullptr) return invalid_input;
  *bytes = text.size() + 1;
  return success;
}

}  // namespace

API int nvrtcVersion(int* major, int* minor) {
  if (major == nullptr || minor == nullptr) return invalid_input;
  *major = settings().version / 1000;
  *minor = settings().version % 1000 / 10;
  return success;
}

API const char* nvrtcGetErrorString(int result) {
  switch (result) {
    case success: return "NVRTC_SUCCESS";
    case invalid_input: return "NVRTC_ERROR_INVALID_INPUT";
    case invalid_program: return "NVRTC_ERROR_INVALID_PROGRAM";
    case invalid_option: return "NVRTC_ERROR_INVALID_OPTION";
    case compilation: return "NVRTC_ERROR_COMPILATION";
    default: return "NVRTC_ERROR unknown";
  }
}

API int nvrtcGetNumSupportedArchs(int* count) {
  if (count == nullptr) return invalid_input;
  *count = static_cast<int>(architectures().size());
  return success;
}

API int nvrtcGetSupportedArchs(int* list) {
  if (list == nullptr) return invalid_input;
  for (const int architecture : architectures()) *list++ = architecture;
  return success;
}

API int nvrtcCreateProgram(Program** handle, const char* source, const char* name, int count,
                           const char* const* headers, const char* const* names) {
  if (handle == nullptr || source == nullptr || count < 0 || (count > 0 && (headers == nullptr || names == nullptr))) {
    return invalid_input;
  }
  auto program = std::make_unique<Program>();
  program->text.files.push_back({name == nullptr || *name == 0 ? "default_program" : name, source});
  for (int i = 0; i < count; i++) program->text.files.push_back({names[i], headers[i]});
  const std::lock_guard<std::mutex> lock(mutex);
  *handle = program.get();
  programs[*handle] = std::move(program);
  return success;
}

API int nvrtcDestroyProgram(Program** handle) {
  if (handle == nullptr || find(*handle) == nullptr) return invalid_program;
  const std::lock_guard<std::mutex> lock(mutex);
  programs.erase(*handle);
  *handle = nullptr;
  return success;
}

API int nvrtcCompileProgram(Program* handle, int count, const char* const* options) {
  Program* program = find(handle);
  if (program == nullptr) return invalid_program;
  program->compiled = false;
  program->text.nvrtc = settings().version;
  program->text.architecture = 52;
  std::string definitions;
  std::vector<std::string> given(options, options + count);
  // The real ones know this variable. What they make of it is not documented; NVRTC 13.0 was seen to make nothing of it.
  if (const char* const more = getenv("NVRTC_APPEND_FLAGS")) given.push_back(more);
  for (const std::string& option : given) {
    const size_t equals = option.find('=');
    const std::string name = option.substr(0, equals),
                      value = equals == std::string::npos ? "" : option.substr(equals + 1);
    if (name == "--gpu-architecture" || name == "-arch") {
      int architecture = 0, used = 0;
      program->text.real = value.rfind("sm_", 0) == 0;
      sscanf(value.c_str(), program->text.real ? "sm_%d%n" : "compute_%d%n", &architecture, &used);
      bool known = false;
      for (const int supported : architectures()) known = known || supported == architecture;
      // A letter behind, as in sm_90a, for instructions of that architecture alone.
      if (!known || value.size() > static_cast<size_t>(used) + 1) {
        program->log = "nvrtc: error: invalid value for --gpu-architecture (-arch)\n";
        return invalid_option;
      }
      program->text.architecture = architecture;
      continue;
    }
    if (option.rfind("-D", 0) == 0) {
      const size_t value_at = option.find('=');
      definitions += "#define " + option.substr(2, value_at - 2) + " " +
                     (value_at == std::string::npos ? "1" : option.substr(value_at + 1)) + "\n";
      continue;
    }
    bool known = option == "-std=c++17" || option == "--std=c++17";
    for (const char* flag : {"-default-device", "--device-as-default-execution-space", "-fmad", "--fmad", "-lineinfo",
                             "--generate-line-info", "--use_fast_math", "--ftz", "--prec-div", "--prec-sqrt", "-ftz",
                             "-prec-div", "-prec-sqrt", "--ptxas-options", "-w", "--disable-warnings", "-dopt"}) {
      known = known || name == flag;
    }
    if (!known) {
      program->log = "nvrtc: error: unrecognized option " + option + " found\n";
      return invalid_option;
    }
  }
  ProgramText text = program->text;
  SourceFile& source = text.files[0];
  if (!definitions.empty()) source.text = definitions + "#line 1 \"" + source.name + "\"\n" + source.text;
  if (build_program(text, settings().sanitize, program->log).empty()) return compilation;
  program->image = write_program(text);
  program->compiled = true;
  return success;
}

API int nvrtcGetProgramLogSize(Program* handle, size_t* bytes) {
  Program* program = find(handle);
  return program == nullptr ? invalid_program : give_size(program->log, bytes);
}

API int nvrtcGetProgramLog(Program* handle, char* log) {
  Program* program = find(handle);
  return program == nullptr ? invalid_program : give(program->log, log);
}

API int nvrtcGetPTXSize(Program* handle, size_t* bytes) {
  Program* program = find(handle);
  return program == nullptr || !program->compiled ? invalid_program : give_size(program->image, bytes);
}

API int nvrtcGetPTX(Program* handle, char* image) {
  Program* program = find(handle);
  return program == nullptr || !program->compiled ? invalid_program : give(program->image, image);
}

API int nvrtcGetCUBINSize(Program* handle, size_t* bytes) {
  Program* program = find(handle);
  if (program == nullptr || !program->compiled) return invalid_program;
  // None for a virtual architecture.
  if (!program->text.real && bytes != nullptr) return *bytes = 0, success;
  return give_size(program->image, bytes);
}

API int nvrtcGetCUBIN(Program* handle, char* image) {
  Program* program = find(handle);
  if (program == nullptr || !program->compiled || !program->text.real) return invalid_program;
  return give(program->image, image);
}

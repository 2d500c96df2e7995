// NVRTC, the compiler of kernels at run time: comes with the toolkit, and with PyTorch.
#include <filesystem>
#include <string>
#include <vector>

#include "binding.h"
#include "library.h"
#include "nvrtc-functions.h"

namespace kasosei {
namespace {

using nvrtc::Program;

struct Compiler : nvrtc::Functions {
  explicit Compiler(const std::string& path) {
    open_builtins(path);
    void* library = open_library(path);
#define KASOSEI_FIND(name, ...) find_function(library, path, #name, name);
    KASOSEI_NVRTC(KASOSEI_FIND)
#undef KASOSEI_FIND
    find_function(library, path, "nvrtcGetErrorString", nvrtcGetErrorString);
  }

  // NVRTC opens its library of builtins by name, and some of its packages do not tell the loader that it lies beside it.
  // One of that name that is open already does.
  static void open_builtins(const std::string& path) {
    std::error_code ignored;
    for (const auto& file : std::filesystem::directory_iterator(std::filesystem::path(path).parent_path(), ignored))
      if (file.path().filename().string().rfind("libnvrtc-builtins.so.", 0) == 0)
        dlopen(file.path().c_str(), RTLD_NOW | RTLD_LOCAL);
  }

  void require(int result, const char* doing) const {
    if (result != 0) throw DeviceFailure(std::string(doing) + ": " + nvrtcGetErrorString(result));
  }
};

// compilerVersion(library): [major, minor, the capabilities that it compiles for …].
napi_value compiler_version(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    const auto [path] = arguments_of<1>(env, info);
    const Compiler compiler(text_from(env, path));
    int major, minor, count;
    compiler.require(compiler.nvrtcVersion(&major, &minor), "asking NVRTC for its version");
    compiler.require(compiler.nvrtcGetNumSupportedArchs(&count), "asking NVRTC for its targets");
    std::vector<int> numbers(count + 2);
    compiler.require(compiler.nvrtcGetSupportedArchs(numbers.data() + 2), "asking NVRTC for its targets");
    numbers[0] = major;
    numbers[1] = minor;
    napi_value list;
    napi_create_array(env, &list);
    for (uint32_t i = 0; i < numbers.size(); i++) napi_set_element(env, list, i, to_value(env, double(numbers[i])));
    return list;
  });
}
EXPORT_AS_IS(compiler_version, "compilerVersion")

// compile(library, files, options, asCubin): the files are names and texts by turns, the program first and then what it
// includes. Gives the image for `load`: a cubin, or PTX with the 0 at its end. Fails with the compiler's log.
napi_value compile(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    const auto [path, file_list, option_list, cubin] = arguments_of<4>(env, info);
    const Compiler compiler(text_from(env, path));
    const std::vector<std::string> files = texts_from(env, file_list), options = texts_from(env, option_list);
    expect(files.size() >= 2 && files.size() % 2 == 0, "expected names and texts of files by turns");
    const bool as_cubin = Argument<bool>::from(env, cubin);
    std::vector<const char*> names, texts, given;
    for (size_t i = 2; i < files.size(); i += 2) {
      names.push_back(files[i].c_str());
      texts.push_back(files[i + 1].c_str());
    }
    for (const std::string& option : options) given.push_back(option.c_str());
    Program program = nullptr;
    compiler.require(compiler.nvrtcCreateProgram(&program, files[1].c_str(), files[0].c_str(), names.size(),
                                                 texts.data(), names.data()),
                     "giving NVRTC the kernels");
    struct Ending {
      const Compiler& compiler;
      Program program;
      ~Ending() { compiler.nvrtcDestroyProgram(&program); }
    } ending{compiler, program};
    const int result = compiler.nvrtcCompileProgram(program, given.size(), given.data());
    if (result != 0) {
      size_t bytes = 0;
      std::string log;
      if (compiler.nvrtcGetProgramLogSize(program, &bytes) == 0 && bytes > 1) {
        log.resize(bytes);
        compiler.nvrtcGetProgramLog(program, log.data());
        log.resize(bytes - 1);
      }
      throw DeviceFailure("the kernels do not compile: " +
                          (log.empty() ? std::string(compiler.nvrtcGetErrorString(result)) : log));
    }
    size_t bytes;
    compiler.require(as_cubin ? compiler.nvrtcGetCUBINSize(program, &bytes) : compiler.nvrtcGetPTXSize(program, &bytes),
                     "asking NVRTC for the kernels");
    void* data;
    napi_value buffer, image;
    check(napi_create_arraybuffer(env, bytes, &data, &buffer), "memory for the kernels");
    char* to = static_cast<char*>(data);
    compiler.require(as_cubin ? compiler.nvrtcGetCUBIN(program, to) : compiler.nvrtcGetPTX(program, to),
                     "asking NVRTC for the kernels");
    check(napi_create_typedarray(env, napi_uint8_array, bytes, buffer, 0, &image), "a typed array");
    return image;
  });
}
EXPORT_AS_IS(compile, "compile")

}  // namespace
}  // namespace kasosei

// A program of kernels as the emulated NVRTC hands it out for PTX: its sources, in text. Whoever has the text can build
// it, so that a text that was cached stays good when built libraries are gone or the emulator has changed.
#pragma once

#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "settings.h"

extern char** environ;

namespace emulated {

struct SourceFile {
  std::string name, text;
};

struct ProgramText {
  int nvrtc = 0;                  // version, as 12040 for 12.4
  int architecture = 0;           // 80, 90, …
  bool real = false;              // for sm_90 and not compute_90: for devices of that architecture alone
  std::vector<SourceFile> files;  // the main one first
};

// The folder of the emulator, where this library is.
inline std::string emulator_folder() {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&emulator_folder), &info) == 0) return ".";
  const std::string path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

inline std::string write_program(const ProgramText& program) {
  char head[256];
  snprintf(head, sizeof head,
           "// a program for the emulated CUDA driver\n.version %d.%d\n.target sm_%d\n.address_size 64\n"
           "#emulated %d %d %d %zu\n",
           program.nvrtc / 1000 - 4, program.nvrtc % 1000 / 10, program.architecture, program.nvrtc,
           program.architecture, program.real ? 1 : 0, program.files.size());
  std::string text = head;
  for (const SourceFile& file : program.files) {
    text += "#file " + std::to_string(file.text.size()) + " " + file.name + "\n" + file.text + "\n";
  }
  return text;
}

// False if the text is none of ours.
inline bool read_program(const char* text, ProgramText& program) {
  const char* at = strstr(text, "#emulated ");
  int real = 0, used = 0;
  size_t count = 0;
  if (at == nullptr ||
      sscanf(at, "#emulated %d %d %d %zu\n%n", &program.nvrtc, &program.architecture, &real, &count, &used) != 4) {
    return false;
  }
  program.real = real != 0;
  const char* end = at + strlen(at);
  at = strchr(at, '\n') + 1;
  for (size_t i = 0; i < count; i++) {
    size_t bytes = 0;
    used = 0;
    if (sscanf(at, "#file %zu %n", &bytes, &used) != 1 || used == 0) return false;
    at += used;
    const char* line = strchr(at, '\n');
    if (line == nullptr || static_cast<size_t>(end - line) < bytes + 2) return false;
    program.files.push_back({std::string(at, line), std::string(line + 1, bytes)});
    at = line + 1 + bytes + 1;
  }
  return true;
}

inline uint64_t digest_part(const std::string& text, uint64_t hash) {
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001b3ull;
  return (hash ^ 0xff) * 0x100000001b3ull;
}

// Runs g++, its output and errors in a file. The status of waitpid, or −1.
inline int run_compiler(const std::vector<std::string>& arguments, const std::string& output) {
  std::vector<char*> argv, environment;
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  // A sanitizer that is loaded into this process is none for the compiler.
  for (char** e = environ; *e != nullptr; e++) {
    if (strncmp(*e, "LD_PRELOAD=", 11) != 0 && strncmp(*e, "LC_ALL=", 7) != 0) environment.push_back(*e);
  }
  char locale[] = "LC_ALL=C";
  environment.push_back(locale);
  environment.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t pid = 0;
  int status = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  if (status != 0) return -1;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return status;
}

inline bool read_file(const std::string& path, std::string& text) {
  FILE* file = fopen(path.c_str(), "rb");
  if (file == nullptr) return false;
  char part[1 << 16];
  text.clear();
  for (size_t n; (n = fread(part, 1, sizeof part, file)) > 0;) text.append(part, n);
  fclose(file);
  return true;
}

inline bool write_file(const std::string& path, const std::string& text) {
  FILE* file = fopen(path.c_str(), "wb");
  if (file == nullptr) return false;
  const bool whole = fwrite(text.data(), 1, text.size(), file) == text.size();
  return fclose(file) == 0 && whole;
}

// The end of what is in braces from `open` on; npos if there is none.
inline size_t end_of_braces(const std::string& text, size_t open) {
  int depth = 0;
  for (size_t i = open; i < text.size(); i++) {
    const char c = text[i];
    // Numbers may have ' between digits.
    if (c == '"' || (c == '\'' && !isalnum(static_cast<unsigned char>(text[i - 1])))) {
      for (i++; i < text.size() && text[i] != c; i++) i += text[i] == '\\';
    }
    depth += c == '{' ? 1 : c == '}' ? -1 : 0;
    if (depth == 0) return i + 1;
  }
  return std::string::npos;
}

/**
 * Finds each `extern "C" __global__ void … name(const Struct a) {…}` in preprocessed text, blanks what g++ does not
 * know
 * (`extern "C"` too: a kernel may be called as a function of the C library is), and adds the kernel's entry behind it,
 * in the same namespace. Lines stay where they are. What is written differently is an error, in `problem`.
 */
inline std::string register_kernels(std::string text, std::string& problem) {
  const auto word = [](char c) { return isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  const auto blank = [&](size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
      if (text[i] != '\n') text[i] = ' ';
    }
  };
  const auto space = [&](size_t i) {
    while (i < text.size() && isspace(static_cast<unsigned char>(text[i]))) i++;
    return i;
  };
  const auto name_at = [&](size_t i) {
    size_t end = i;
    while (end < text.size() && word(text[end])) end++;
    return text.substr(i, end - i);
  };
  const std::string mark = "__global__";
  for (size_t at = 0; (at = text.find(mark, at)) != std::string::npos; at += mark.size()) {
    const size_t line = text.rfind('\n', at) + 1;
    problem = "expected a kernel as extern \"C\" __global__ void [__launch_bounds__(n)] name(const Struct a), found: " +
              text.substr(line, text.find('\n', at) - line);
    size_t before = at;
    while (before > 0 && isspace(static_cast<unsigned char>(text[before - 1]))) before--;
    if (before < 3 || text.compare(before - 3, 3, "\"C\"") != 0) return text;
    const size_t external = text.rfind("extern", before);
    if (external == std::string::npos || before - external > 32) return text;
    size_t i = space(at + mark.size());
    std::string bound = "0";
    for (std::string next = name_at(i); next == "void" || next == "__launch_bounds__"; next = name_at(i)) {
      const size_t start = i;
      i = space(i + next.size());
      if (next == "void") continue;
      const size_t open = i;
      int depth = 0;
      do {
        if (i >= text.size()) return text;
        depth += text[i] == '(' ? 1 : text[i] == ')' ? -1 : 0;
        i++;
      } while (depth > 0);
      bound = text.substr(open + 1, i - open - 2);
      bound = bound.substr(0, bound.find(','));
      blank(start, i);
      i = space(i);
    }
    const std::string name = name_at(i);
    i = space(i + name.size());
    const size_t close = i < text.size() && text[i] == '(' ? text.find(')', i) : std::string::npos;
    if (name.empty() || close == std::string::npos) return text;
    std::string argument = text.substr(i + 1, close - i - 1);
    if (argument.find(',') != std::string::npos) return text;
    while (!argument.empty() && isspace(static_cast<unsigned char>(argument.back()))) argument.pop_back();
    while (!argument.empty() && word(argument.back())) argument.pop_back();
    if (argument.find_first_not_of(" \n") == std::string::npos) return text;
    i = space(close + 1);
    const size_t end = i < text.size() && text[i] == '{' ? end_of_braces(text, i) : std::string::npos;
    if (end == std::string::npos) return text;
    blank(external, at + mark.size());
    text.insert(end,
                " using emulated_argument_" + name + " = " + argument + "; static void emulated_call_" + name +
                    "(const void* a) { " + name + "(*static_cast<const emulated_argument_" + name +
                    "*>(a)); } static const ::emulated::Kernel emulated_kernel_" + name + "{\"" + name +
                    "\", emulated_call_" + name + ", sizeof(emulated_argument_" + name + "), " + bound +
                    "}; __attribute__((section(\"emulated_kernels\"), used)) static const ::emulated::Kernel* const "
                    "emulated_entry_" +
                    name + " = &emulated_kernel_" + name + ";");
  }
  problem.clear();
  return text;
}

/**
 * The path of the library that is built from a program; empty, and what the compiler says in `log`, if it does not
 * compile. What was built once is in the folder `kernels` beside this library.
 */
inline std::string build_program(const ProgramText& program, bool sanitize, std::string& log) {
  const std::string folder = emulator_folder(), kernels = folder + "/kernels";
#if defined(__x86_64__)
  const char* target = "-march=native";
#else
  const char* target = "-mcpu=native";
#endif
  // Without contraction, the same bits on every processor.
  std::vector<std::string> flags = {"-std=c++17",          target, "-ffp-contract=off", "-fno-math-errno", "-fPIC",
                                    "-fvisibility=hidden", "-w"};
  // The device faults where several numbers are read or written in one access that is not aligned to all of them.
  const std::vector<std::string> checked = {"-O1", "-g1", "-fno-omit-frame-pointer", "-fsanitize=address,alignment",
                                            "-fno-sanitize-recover=alignment", "-fsanitize-sections=emulated_shared"};
  if (sanitize) {
    flags.insert(flags.end(), checked.begin(), checked.end());
  } else {
    // Products unroll their small loops.
    for (const char* flag : {"-O2", "-fpeel-loops", "-fvect-cost-model=dynamic"}) flags.push_back(flag);
  }
  uint64_t low = 0xcbf29ce484222325ull, high = 0x84222325cbf29ce4ull;
  const auto add = [&](const std::string& text) {
    low = digest_part(text, low);
    high = digest_part(text, high * 31);
  };
  for (const std::string& flag : flags) add(flag);
  add(std::to_string(program.architecture));
  for (const SourceFile& file : program.files) {
    if (file.name == "instructions.cuh") continue;
    add(file.name);
    add(file.text);
  }
  char key[40];
  snprintf(key, sizeof key, "%016llx%016llx", static_cast<unsigned long long>(low),
           static_cast<unsigned long long>(high));
  const std::string library = kernels + "/" + key + ".so";
  log.clear();
  if (access(library.c_str(), R_OK) == 0) return library;

  std::error_code ignored;
  std::filesystem::create_directory(kernels, ignored);
  std::string work = library + ".XXXXXX";
  if (mkdtemp(&work[0]) == nullptr) {
    log = "no folder can be made in " + kernels + "\n";
    return "";
  }
  // Some way down, for headers whose names begin with "../".
  const std::string base = work + "/1/2/3/4/";
  std::filesystem::create_directories(base, ignored);
  const auto compile = [&](std::vector<std::string> more) {
    more.insert(more.begin(), flags.begin(), flags.end());
    more.insert(more.begin(), "g++");
    const int status = run_compiler(more, base + "log");
    if (!read_file(base + "log", log) || status == -1) log = "g++ cannot be started\n";
    if (status != 0 && log.empty()) log = "g++ failed\n";
    // The folder's path says nothing to a reader.
    for (size_t at = 0; (at = log.find(base, at)) != std::string::npos;) log.erase(at, base.size());
    return status == 0;
  };
  const auto build = [&] {
    const SourceFile& source = program.files[0];
    for (size_t i = 1; i < program.files.size(); i++) {
      const SourceFile& file = program.files[i];
      if (file.name == "instructions.cuh") continue;
      const std::filesystem::path path = std::filesystem::path(base + file.name).lexically_normal();
      std::filesystem::create_directories(path.parent_path(), ignored);
      if (path.string().rfind(work, 0) != 0 || !write_file(path, file.text))
        return log = file.name + " cannot be written\n", false;
    }
    // Without a name of their own outside, static variables of templates too are guarded and have their section.
    const std::string whole = "namespace {\n#line 1 \"" + source.name + "\"\n" + source.text + "\n}\n";
    if (!write_file(base + "main.cpp", whole)) return log = base + "main.cpp cannot be written\n", false;
    const std::string architecture = "-D__CUDA_ARCH__=" + std::to_string(program.architecture * 10);
    if (!compile({architecture, "-DEMULATED_PROGRAM", "-I" + folder, "-I" + base, "-include", "instructions.cuh", "-E",
                  base + "main.cpp", "-o", base + "main.ii"})) {
      return false;
    }
    std::string text, problem;
    read_file(base + "main.ii", text);
    text = register_kernels(std::move(text), problem);
    if (!problem.empty()) return log = source.name + ": error: " + problem + "\n", false;
    if (!write_file(base + "program.ii", text)) return log = base + "program.ii cannot be written\n", false;
    return compile(
               {"-fpreprocessed", "-shared", "-x", "c++-cpp-output", base + "program.ii", "-o", base + "program.so"}) &&
           rename((base + "program.so").c_str(), library.c_str()) == 0;
  };
  const bool built = build();
  std::filesystem::remove_all(work, ignored);
  return built ? library : "";
}

}  // namespace emulated

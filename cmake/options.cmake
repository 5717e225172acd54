option(MTMD_TESTS "Build the tests and run the fuzz targets on their corpus" ON)
option(MTMD_SANITIZE_ADDRESS "AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(MTMD_SANITIZE_THREAD "ThreadSanitizer" OFF)
option(MTMD_LIBFUZZER "Link the fuzz targets with libFuzzer (clang)" OFF)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
# -O2 with debug lines: -O3 buys nothing outside the kernels, which ask for it themselves.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(mtmd_flags INTERFACE)
target_compile_options(mtmd_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
  -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough -Werror)
# x86-64-v2 is the floor of every translation unit; kernels raise it for their own files.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_compile_options(mtmd_flags INTERFACE -march=x86-64-v2)
endif()
target_include_directories(mtmd_flags INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/lib>)

if(MTMD_SANITIZE_ADDRESS)
  # GCC 12 sees uninitialised and overflowing memory inside instrumented library code (std::regex, std::string).
  add_compile_options(-Wno-maybe-uninitialized -Wno-stringop-overflow
    -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
  if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
    add_compile_options(-Wno-unknown-warning-option)
  endif()
elseif(MTMD_SANITIZE_THREAD)
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
endif()
if(MTMD_LIBFUZZER)
  add_compile_options(-fsanitize=fuzzer-no-link)  # in every module: a campaign steers by the code that it reaches
endif()

# mtmd_isa_sources(target file…)  compiles each file once per instruction set with -DISA=<name> into `target`.
# Such a file includes no standard container or algorithm and defines nothing but file-local functions and one table in
# namespace mtmd::cpu::ISA (see lib/engine/device/cpu/dispatch.h): an inline function emitted here could be the copy that
# the linker keeps for the baseline path. tests/engine/device/isa_symbols checks that none is.
# mtmd_one_isa_sources(target isa file…)  the same for files that exist in one instruction set only, such as `amx`: the
# tile kernels that are added to the tables of avx512.
# Instrumented loops do not vectorise anyway, and -O2 takes three times as long to compile them, -O3 nine times.
set(MTMD_ISA_OPTIMISE -O3)
if(MTMD_SANITIZE_ADDRESS OR MTMD_SANITIZE_THREAD)
  set(MTMD_ISA_OPTIMISE -O1)
endif()
set(MTMD_ISA_FLAGS_base "")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(MTMD_ISA_LIST base avx2 avx512)
  set(MTMD_ISA_FLAGS_avx2 -mavx2 -mfma -mf16c -mbmi -mbmi2 -mtune=znver3)
  # Addresses that find no register belong on the stack: as tuned, GCC keeps them in vector registers, and each move takes
  # the port of a vector operation (a third of the time of the products with IQ4_XS).
  set(inter_unit_moves -mtune-ctrl=^inter_unit_moves_to_vec,^inter_unit_moves_from_vec)
  include(CheckCXXCompilerFlag)
  check_cxx_compiler_flag("-mtune=znver3 ${inter_unit_moves}" MTMD_HAS_TUNE_CTRL)
  if(MTMD_HAS_TUNE_CTRL)
    list(APPEND MTMD_ISA_FLAGS_avx2 ${inter_unit_moves})
  endif()
  set(MTMD_ISA_FLAGS_avx512 ${MTMD_ISA_FLAGS_avx2} -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512cd -mavx512vnni
    -mavx512bf16 -mavx512vbmi -mgfni -mprefer-vector-width=512)
  set(MTMD_ISA_FLAGS_amx ${MTMD_ISA_FLAGS_avx512} -mamx-tile -mamx-bf16)
else()
  set(MTMD_ISA_LIST base)
endif()

function(mtmd_one_isa_sources target isa)
  set(objects ${target}_${isa})
  if(NOT TARGET ${objects})
    add_library(${objects} OBJECT)
    # GCC 12 takes the undefined operand inside some AVX-512 intrinsics for a use of uninitialised memory.
    target_compile_options(${objects} PRIVATE ${MTMD_ISA_OPTIMISE} -fno-math-errno -fno-trapping-math ${MTMD_ISA_FLAGS_${isa}}
      -Wno-uninitialized -Wno-maybe-uninitialized)
    target_compile_definitions(${objects} PRIVATE ISA=${isa} MTMD_ISA_${isa}=1)
    target_link_libraries(${objects} PRIVATE mtmd_flags)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${objects}>)
    set_property(GLOBAL APPEND PROPERTY MTMD_MODULES ${objects})  # the shared library takes objects, not archives
  endif()
  target_sources(${objects} PRIVATE ${ARGN})
endfunction()

function(mtmd_isa_sources target)
  foreach(isa ${MTMD_ISA_LIST})
    mtmd_one_isa_sources(${target} ${isa} ${ARGN})
  endforeach()
endfunction()

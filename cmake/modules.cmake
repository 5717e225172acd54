# mtmd_module(name SOURCES … LINK …)  one static library per folder. The shared library `mtmd` is made of all of them.
set_property(GLOBAL PROPERTY MTMD_MODULES "")
function(mtmd_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_LINK} PRIVATE ${ARG_PRIVATE_LINK} mtmd_flags)
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/lib)
  set_property(GLOBAL APPEND PROPERTY MTMD_MODULES ${name})
endfunction()

# Sources that only start programs and read what they write: neither sanitizers nor optimisation would find or gain
# anything in them, and both together cost most of the time to compile them.
function(mtmd_outside_view)
  set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS "-O0;-fno-sanitize=all")
endfunction()

# mtmd_test(name SOURCES … LINK …)  one GoogleTest program; each TEST becomes a ctest entry.
function(mtmd_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} mtmd_flags GTest::gmock GTest::gtest GTest::gtest_main)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${name} PRIVATE
    MTMD_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data" MTMD_CONFORMANCE="${PROJECT_SOURCE_DIR}/../shared/conformance"
    MTMD_MODELS="${PROJECT_SOURCE_DIR}/models")
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 120 PROPERTIES TIMEOUT 900)
endfunction()

# Read by CMake as it builds libopus, and of no effect on any other project (.cargo/config.toml).
#
# CELT's encoder may add in any order and presume that samples are finite, so that its tone detector and its maxima are vectorised:
# encoding takes a tenth less and makes the same packets. opus_encoder.c, which silences a frame that is not finite before CELT
# sees it, is built as ever, and so is all that decodes, for it reads what strangers send.
set(CMAKE_PROJECT_Opus_INCLUDE "${CMAKE_CURRENT_LIST_FILE}")

if(PROJECT_NAME STREQUAL "Opus" AND CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
  set_source_files_properties(celt/celt_encoder.c PROPERTIES COMPILE_OPTIONS
    "-fno-math-errno;-fassociative-math;-fno-signed-zeros;-fno-trapping-math;-ffinite-math-only")
endif()

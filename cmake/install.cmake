# What `cmake --install` writes below the prefix:
#   bin/csm, share/man/man1/csm.1, completions for bash, zsh and fish where these look, include/csm/*.h, lib/libcsm.*, lib/cmake/csm/, lib/pkgconfig/csm.pc, share/csm/models/demo/
#   lib/csm/: libggml and, in lib/csm/ggml/, its run-time modules, when ggml is the one that scripts/setup built.
# All paths between these are relative, so that the prefix may be moved.
include(CMakePackageConfigHelpers)
set(csm_private_dir ${CMAKE_INSTALL_LIBDIR}/csm)
set(csm_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/csm)
set(csm_models_dir ${CMAKE_INSTALL_DATADIR}/csm/models)
if(APPLE)
  set(origin @loader_path)
else()
  set(origin $ORIGIN)
endif()

set(csm_own_ggml OFF)
if(CSM_GGML)
  cmake_path(IS_PREFIX CSM_GGML_DIR "${ggml_DIR}" NORMALIZE csm_own_ggml)
endif()
if(csm_own_ggml)
  install(DIRECTORY ${CSM_GGML_DIR}/lib/ DESTINATION ${csm_private_dir} USE_SOURCE_PERMISSIONS
    FILES_MATCHING PATTERN "libggml*" PATTERN cmake EXCLUDE PATTERN pkgconfig EXCLUDE)
endif()

install(TARGETS csm EXPORT csm_targets)
set_target_properties(csm PROPERTIES INSTALL_RPATH "${origin}/csm" VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
install(DIRECTORY include/csm DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(DIRECTORY models/demo models/voices DESTINATION ${csm_models_dir})
install(FILES LICENSE NOTICE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(TARGET csm_program)
  install(TARGETS csm_program)
  # The program writes its own man page and completions; where another machine is built for, it cannot run here.
  if(NOT CMAKE_CROSSCOMPILING)
    install(FILES ${CMAKE_BINARY_DIR}/csm.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
    install(FILES ${CMAKE_BINARY_DIR}/completions/csm.bash RENAME csm
      DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
    install(FILES ${CMAKE_BINARY_DIR}/completions/csm.zsh RENAME _csm DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
    install(FILES ${CMAKE_BINARY_DIR}/completions/csm.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
  endif()
  file(RELATIVE_PATH from_bin ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
  set_target_properties(csm_program PROPERTIES INSTALL_RPATH "${origin}/${from_bin};${origin}/${from_bin}/csm")
endif()

# find_package(csm)
install(EXPORT csm_targets NAMESPACE csm:: DESTINATION ${csm_cmake_dir} FILE csmTargets.cmake)
set(csm_ggml_library ${csm_private_dir}/${CMAKE_SHARED_LIBRARY_PREFIX}ggml${CMAKE_SHARED_LIBRARY_SUFFIX})
set(csm_ggml_base_library ${csm_private_dir}/${CMAKE_SHARED_LIBRARY_PREFIX}ggml-base${CMAKE_SHARED_LIBRARY_SUFFIX})
configure_package_config_file(cmake/csmConfig.cmake.in csmConfig.cmake INSTALL_DESTINATION ${csm_cmake_dir}
  PATH_VARS csm_models_dir csm_ggml_library csm_ggml_base_library)
write_basic_package_version_file(csmConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/csmConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/csmConfigVersion.cmake
  DESTINATION ${csm_cmake_dir})

# pkg-config
set(csm_pc_libs "-L\${libdir} -lcsm")
set(csm_pc_requires "fmt sndfile soxr libebur128 libcurl libcrypto libpcre2-8 sentencepiece")
if(CSM_PORTAUDIO)
  string(APPEND csm_pc_requires " portaudio-2.0")
endif()
if(csm_own_ggml)
  string(APPEND csm_pc_libs " -L\${libdir}/csm -Wl,-rpath,\${libdir}/csm -lggml -lggml-base")
elseif(CSM_GGML)
  string(APPEND csm_pc_requires " ggml")
endif()
file(RELATIVE_PATH csm_pc_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/csm.pc.in csm.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/csm.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

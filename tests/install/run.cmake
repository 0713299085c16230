# cmake -P script; see CMakeLists.txt.
function(run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${what} failed (${result}):\n${output}")
  endif()
  message(STATUS "${what}: done")
endfunction()

function(expect_audio path)
  file(SIZE ${path} n_bytes)
  if(n_bytes LESS 20000)
    message(FATAL_ERROR "${path} holds ${n_bytes} bytes, which is no spoken sentence")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
set(flags)
if(SANITIZE)
  set(flags "-fsanitize=${SANITIZE}")
endif()
# Nothing in the environment may help: what is found is found from the prefix alone.
foreach(variable CSM_MODEL CSM_GGML_MODULES LD_LIBRARY_PATH DESTDIR)
  unset(ENV{${variable}})
endforeach()

run("install" ${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/first --config ${CONFIG})
set(prefix ${WORK}/moved)
file(RENAME ${WORK}/first ${prefix})

foreach(file share/man/man1/csm.1 share/bash-completion/completions/csm share/zsh/site-functions/_csm
    share/fish/vendor_completions.d/csm.fish)
  file(STRINGS ${prefix}/${file} lines REGEX "max..?.?seconds")
  if(NOT lines)
    message(FATAL_ERROR "${prefix}/${file} is not there or does not know the program's flags")
  endif()
endforeach()

run("program: speak" ${prefix}/bin/csm speak "Good morning." -o ${WORK}/program.wav)
expect_audio(${WORK}/program.wav)
execute_process(COMMAND ${prefix}/bin/csm doctor --json RESULT_VARIABLE result OUTPUT_VARIABLE report)
string(FIND "${report}" "${prefix}/" from_prefix)
if(NOT result EQUAL 0 OR from_prefix EQUAL -1)
  message(FATAL_ERROR "csm doctor does not name the model of ${prefix}:\n${report}")
endif()

run("find_package: configure" ${CMAKE_COMMAND} -S ${CONSUMER} -B ${WORK}/build -G ${GENERATOR} -DCMAKE_BUILD_TYPE=Release
  -DCMAKE_PREFIX_PATH=${prefix} -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}
  -DCMAKE_CXX_FLAGS=${flags})
run("find_package: build" ${CMAKE_COMMAND} --build ${WORK}/build)
run("find_package: speak" ${WORK}/build/consumer ${prefix} ${WORK}/consumer.wav)
expect_audio(${WORK}/consumer.wav)

file(GLOB_RECURSE pc ${prefix}/*/csm.pc)
get_filename_component(pc_dir ${pc} DIRECTORY)
set(ENV{PKG_CONFIG_PATH} ${pc_dir})
execute_process(COMMAND pkg-config --cflags --libs csm RESULT_VARIABLE result OUTPUT_VARIABLE pc_flags ERROR_VARIABLE pc_flags)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "pkg-config does not know csm: ${pc_flags}")
endif()
separate_arguments(pc_flags UNIX_COMMAND "${pc_flags}")
run("pkg-config: build" ${COMPILER} -std=c++20 ${flags} -DCSM_CONSUMER_MODELS_DIR="${prefix}/share/csm/models"
  ${CONSUMER}/consumer.cpp -o ${WORK}/pc_consumer ${pc_flags})
run("pkg-config: speak" ${WORK}/pc_consumer ${prefix} ${WORK}/pc.wav)
expect_audio(${WORK}/pc.wav)

# What the Vulkan core needs: headers, {fmt} (Kompute's), glslangValidator, and Kompute's sources from the kp sdist.
# Of Kompute its Tensor and its Algorithm are compiled, against our dispatch table (native/vulkan/entry.cpp): its own
# CMake project would link libvulkan, and a library built elsewhere would keep ignoring the results of its calls.
set(NYX_HAVE_VULKAN OFF)
if(NYX_VULKAN STREQUAL "OFF")
    set(why_no_vulkan "it was built with NYX_VULKAN=OFF")
    return()
endif()

find_path(VULKAN_HEADERS vulkan/vulkan.hpp)
if(NOT VULKAN_HEADERS)
    list(APPEND missing "libvulkan-dev (Vulkan's headers)")
endif()
if(CMAKE_CXX_COMPILER) # without one it is never found
    find_package(fmt QUIET)
endif()
if(CMAKE_CXX_COMPILER AND NOT fmt_FOUND)
    list(APPEND missing "libfmt-dev")
endif()
find_program(GLSLANG glslangValidator)
if(NOT GLSLANG)
    list(APPEND missing "glslang-tools (glslangValidator)")
endif()
find_program(SPIRV_VAL spirv-val)
if(missing)
    return()
endif()

set(KOMPUTE_SHA256 98e583dc6e9731ff6d7a3e3317817e4d93f7b2945929619e29a56325db279949)
set(kompute_dir ${CMAKE_CURRENT_BINARY_DIR}/kompute)
set(kompute_src ${kompute_dir}/kp-0.9.0/src)
if(NOT EXISTS ${kompute_dir}/${KOMPUTE_SHA256})
    set(sdist ${NYX_KOMPUTE_SDIST})
    set(bundled ${CMAKE_CURRENT_SOURCE_DIR}/third_party/kp-0.9.0.tar.gz) # in our source distribution
    if(NOT sdist AND EXISTS ${bundled})
        set(sdist ${bundled})
    endif()
    if(NOT sdist)
        message(STATUS "Downloading Kompute 0.9.0 (the source distribution of kp)")
        execute_process(
            COMMAND ${Python_EXECUTABLE} -m pip --disable-pip-version-check -q download --no-deps --no-binary kp
                    -d ${kompute_dir} kp==0.9.0
            RESULT_VARIABLE failed OUTPUT_VARIABLE pip_says ERROR_VARIABLE pip_says)
        set(sdist ${kompute_dir}/kp-0.9.0.tar.gz)
        if(failed OR NOT EXISTS ${sdist})
            message(STATUS "pip: ${pip_says}")
            list(APPEND missing "Kompute's sources (pip could not download kp 0.9.0; -DNYX_KOMPUTE_SDIST=FILE names a copy)")
            return()
        endif()
    endif()
    file(SHA256 ${sdist} found_sha256)
    if(NOT found_sha256 STREQUAL KOMPUTE_SHA256)
        message(FATAL_ERROR "${sdist} is not Kompute 0.9.0 as published: its SHA-256 is ${found_sha256}")
    endif()
    file(ARCHIVE_EXTRACT INPUT ${sdist} DESTINATION ${kompute_dir})
    file(TOUCH ${kompute_dir}/${KOMPUTE_SHA256})
endif()

add_library(kompute STATIC ${kompute_src}/Tensor.cpp ${kompute_src}/Algorithm.cpp)
target_include_directories(kompute SYSTEM PUBLIC ${kompute_src}/include ${VULKAN_HEADERS})
target_link_libraries(kompute PUBLIC fmt::fmt-header-only ${CMAKE_DL_LIBS})
# libvulkan is opened at run time: see native/vulkan/entry.cpp, which also watches the results that Kompute ignores.
target_compile_definitions(kompute PUBLIC
    VK_NO_PROTOTYPES VULKAN_HPP_DISPATCH_LOADER_DYNAMIC=1 KOMPUTE_OPT_LOG_LEVEL_DISABLED=1)
target_compile_options(kompute PRIVATE -Wno-unused-result)
set_target_properties(kompute PROPERTIES CXX_VISIBILITY_PRESET hidden)

set(NYX_HAVE_VULKAN ON)

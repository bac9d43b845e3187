# shaders/NAME.comp becomes nyx/spirv/NAME.spv. Lines `// variant V: -DFOO=1` give NAME.V.spv instead, one per line;
# `// variant: -DFOO` with no V keeps the plain name.
set(spirv_dir ${package_dir}/spirv)
file(MAKE_DIRECTORY ${spirv_dir})
file(GLOB shaders CONFIGURE_DEPENDS shaders/*.comp)
file(GLOB shader_includes CONFIGURE_DEPENDS shaders/include/*.glsl)
set(spirv_files "")

foreach(shader ${shaders})
    get_filename_component(stem ${shader} NAME_WE)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${shader}) # its variant lines may change
    file(STRINGS ${shader} variants REGEX "^// variant *[A-Za-z0-9_]* *:")
    if(NOT variants)
        set(variants "// variant:")
    endif()
    foreach(line IN LISTS variants)
        string(REGEX MATCH "^// variant *([A-Za-z0-9_]*) *:(.*)$" ignored "${line}")
        set(name ${stem})
        if(CMAKE_MATCH_1)
            set(name ${stem}.${CMAKE_MATCH_1})
        endif()
        set(spirv ${spirv_dir}/${name}.spv)
        add_custom_command(OUTPUT ${spirv}
            COMMAND ${CMAKE_COMMAND} -DGLSLANG=${GLSLANG} -DSPIRV_VAL=${SPIRV_VAL}
                    -DINCLUDE=${CMAKE_CURRENT_SOURCE_DIR}/shaders/include "-DDEFINES=${CMAKE_MATCH_2}"
                    -DIN=${shader} -DOUT=${spirv} -P ${CMAKE_CURRENT_SOURCE_DIR}/cmake/compile_shader.cmake
            DEPENDS ${shader} ${shader_includes} ${CMAKE_CURRENT_SOURCE_DIR}/cmake/compile_shader.cmake
            COMMENT "SPIR-V ${name}" VERBATIM)
        list(APPEND spirv_files ${spirv})
    endforeach()
endforeach()

# What no shader makes any more must not be found at run time.
file(GLOB stale ${spirv_dir}/*.spv)
list(REMOVE_ITEM stale ${spirv_files} "")
if(stale)
    file(REMOVE ${stale})
endif()

add_custom_target(shaders ALL DEPENDS ${spirv_files})
if(NOT NYX_INPLACE)
    install(FILES ${spirv_files} DESTINATION nyx/spirv)
endif()

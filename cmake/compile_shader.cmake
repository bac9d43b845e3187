# cmake -DGLSLANG= -DSPIRV_VAL= -DINCLUDE= -DDEFINES= -DIN= -DOUT= -P compile_shader.cmake
# Any message of the compiler fails: all it may say is the name of the file.
separate_arguments(defines UNIX_COMMAND "${DEFINES}")
execute_process(
    COMMAND ${GLSLANG} -V --target-env vulkan1.1 -I${INCLUDE} ${defines} -o ${OUT}.new ${IN}
    RESULT_VARIABLE failed OUTPUT_VARIABLE says ERROR_VARIABLE says)
string(STRIP "${says}" says)
if(failed OR NOT says STREQUAL IN)
    file(REMOVE ${OUT}.new)
    message(FATAL_ERROR "${IN} ${DEFINES}:\n${says}")
endif()
if(SPIRV_VAL)
    execute_process(COMMAND ${SPIRV_VAL} --target-env vulkan1.1 ${OUT}.new
        RESULT_VARIABLE failed OUTPUT_VARIABLE says ERROR_VARIABLE says)
    if(failed)
        file(REMOVE ${OUT}.new)
        message(FATAL_ERROR "${IN} ${DEFINES}: spirv-val:\n${says}")
    endif()
endif()
file(RENAME ${OUT}.new ${OUT})

/* Puts the API's description into the program, so that GET /openapi.yaml is always that of the running build. */
    .section .rodata
    .global openapi_yaml
    .global openapi_yaml_end
openapi_yaml:
    .incbin OPENAPI_YAML
openapi_yaml_end:
    .byte 0
    .section .note.GNU-stack, "", %progbits

// The flat index of this invocation's workgroup: launches fold long dispatches into a second dimension.
uint group_index() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }

// The flat index of this invocation over all workgroups. A macro: the size counts as 1 before local_size is declared.
#define flat_index() (group_index() * gl_WorkGroupSize.x + gl_LocalInvocationID.x)

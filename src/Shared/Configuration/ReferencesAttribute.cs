namespace Shared.Configuration;

/// <summary>A member that is no secret and may hold <c>${env:NAME}</c> all the same, since it differs from one machine to the next.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class ReferencesAttribute : Attribute;

namespace Shared.Configuration.Schemas;

/// <summary>The texts that a member may hold, for schemas and the reference; the snapshot's compilers refuse others.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class ChoicesAttribute(params string[] values) : Attribute
{
    public IReadOnlyList<string> Values { get; } = values;
}

/// <summary>A regular expression that a text, or each name of a map, must match, for schemas; the snapshot's compilers refuse others.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class PatternAttribute(string pattern) : Attribute
{
    public string Pattern { get; } = pattern;
}

/// <summary>Members of which exactly one is given, for schemas; the snapshot's compilers refuse all else.</summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class ExactlyOneAttribute(params string[] members) : Attribute
{
    public IReadOnlyList<string> Members { get; } = members;
}

/// <summary>What holds where nothing is written and the default is not a plain value, for the reference.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class DefaultTextAttribute(string text) : Attribute
{
    public string Text { get; } = text;
}

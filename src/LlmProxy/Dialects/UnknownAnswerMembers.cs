using System.Text.Json;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects;

/// <summary>Reports the members of an answer's object that its decoder does not know.</summary>
internal static class UnknownAnswerMembers
{
    /// <summary>Reports them; null says nothing.</summary>
    /// <param name="json">The object, raw; empty: there is none.</param>
    /// <param name="path">What stands before their names, e.g. <c>content[].</c>.</param>
    /// <param name="known">The members that are known, a space between them.</param>
    /// <param name="sink">Receives them.</param>
    /// <exception cref="JsonException">It is no valid JSON.</exception>
    public static void Report(ReadOnlySpan<byte> json, string path, ReadOnlySpan<byte> known, IAnswerSink sink)
    {
        if (json.IsEmpty)
        {
            return;
        }
        for (var members = new SpanMembers(json); members.Next();)
        {
            if (members.Kind != JsonTokenType.Null && !IsKnown(members, known))
            {
                sink.Extension(path + members.Name, members.Value);
            }
        }
    }

    private static bool IsKnown(in SpanMembers members, ReadOnlySpan<byte> known)
    {
        foreach (var name in known.Split((byte)' '))
        {
            if (members.Is(known[name]))
            {
                return true;
            }
        }
        return false;
    }
}

using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>
/// Which cache marks of a request are kept: Anthropic takes four. Of more, the first stays, which holds what conversations share, and the last three, which hold most of this one.
/// </summary>
internal sealed class CacheBreakpoints
{
    /// <summary>The most that a request may have.</summary>
    public const int Most = 4;

    private readonly HashSet<CacheMark> kept = new(ReferenceEqualityComparer.Instance);

    public CacheBreakpoints(NeutralRequest request)
    {
        var marks = new List<CacheMark>();
        marks.AddRange(request.Tools.Select(tool => tool.Cache).OfType<CacheMark>());
        foreach (var part in request.Messages.SelectMany(message => message.Parts))
        {
            if (part is ToolResultPart result)
            {
                marks.AddRange(result.Content.Select(inner => inner.Cache).OfType<CacheMark>());
            }
            if (part.Cache is { } mark)
            {
                marks.Add(mark);
            }
        }
        var room = Most - (request.Cache is null ? 0 : 1);
        for (var i = 0; i < marks.Count; i++)
        {
            if (marks.Count <= room || i == 0 || i > marks.Count - room)
            {
                kept.Add(marks[i]);
            }
        }
        HasSpare = marks.Count > room;
    }

    /// <summary>Whether there are more marks than are kept.</summary>
    public bool HasSpare { get; }

    public bool Keeps(CacheMark mark) => kept.Contains(mark);
}
